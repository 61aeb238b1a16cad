dataset "file" "d" {
  path = "d.csv"
}
feature_view "python" "notebook" {
  from      = dataset.d
  transform = "explore.ipynb:clean"
}
feature_view "python" "form" {
  from      = dataset.d
  transform = "code.clean"
}
feature_view "python" "outside" {
  from      = dataset.d
  transform = "../code.py:clean"
}
feature_view "python" "file" {
  from      = dataset.d
  transform = "cod.py:clean"
}
feature_view "python" "function" {
  from      = dataset.d
  transform = "code.py:claen"
}
feature_view "python" "syntax" {
  from      = dataset.d
  transform = "broken.py:clean"
}
# --- file d.csv
a,b
1,2
# --- file code.py
def clean(table):
    return table
# --- file broken.py
def clean(table:
    return table
# --- steps
# --- run validate

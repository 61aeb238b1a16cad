dataset "file" "d" {
  path = "d.csv"
}
dataset "file" "many" {
  for_each = toset(["a"])
  path     = "d.csv"
}
dataset "file" "elsewhere" {
  path = "other.csv"
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "code.py:clean"
}
# --- file d.csv
a,b
1,2
# --- file other.csv
a
1
# --- file code.py
def clean(table):
    return table
# --- steps
# --- run import dataset.e d.csv
# --- run import dataset.many d.csv
# --- run import dataset.d nowhere.csv
# --- run import dataset.d d.csv@0123
# --- run import dataset d.csv
# --- run import feature_view.f features
# --- run import dataset.d d.csv
# --- run import dataset.d d.csv
# --- run plan --generate-config-out=d.csv

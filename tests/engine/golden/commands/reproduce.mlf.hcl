variable "key" {
  type      = any
  sensitive = true
  default   = { key = "hush" }
}
dataset "file" "d" {
  path = "d.csv"
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "code.py:clean"
}
dataset "file" "e" {
  path = "e.csv"
}
# --- file secret.mlf.hcl
feature_view "python" "s" {
  from      = dataset.d
  transform = "other.py:clean"
  params    = var.key
}
# --- file d.csv
a,b
1,2
# --- file code.py
def clean(table):
    return table
# --- file other.py
def clean(table, key=""):
    return table
# --- file e.csv
a
1
# --- steps
# --- run import dataset.e e.csv
# --- run reproduce LATEST
# --- run apply --auto-approve
# --- bytes code.py 64656620636c65616e2874293a0a2020202072657475726e20740a
# --- show reproduce feature_view.f
# --- bytes d.csv 612c620a312c330a
# --- show reproduce dataset.d
# --- show reproduce feature_view.s --var=key=3
# --- remove secret.mlf.hcl
# --- show reproduce feature_view.s
# --- run reproduce r-20260131-060000-abcdef
# --- run reproduce feature_view.h

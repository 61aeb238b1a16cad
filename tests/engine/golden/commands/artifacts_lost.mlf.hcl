variable "least" {
  default = 1
}
variable "unit" {
  type    = number
  default = 1
}
dataset "file" "d" {
  path   = "d.csv"
  expect = { rows_min = var.least }
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "code.py:scale"
  params    = { unit = var.unit }
}
# --- file d.csv
a,b
1,2
3,4
# --- file code.py
def scale(table, unit):
    return table * unit
# --- steps
# --- run apply --auto-approve
# --- run apply --auto-approve --var=unit=2
# --- run plan --var=least=2 --var=unit=2 --out=saved.plan
# --- remove .mlform/store/objects
# --- run apply saved.plan
# --- run plan

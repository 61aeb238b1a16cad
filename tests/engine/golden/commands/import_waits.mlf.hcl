import {
  to = dataset.d
  id = "d.csv"
}
dataset "file" "d" {
  path = "d.csv"
}
dataset "file" "e" {
  path = "e.csv"
}
dataset "file" "f" {
  path   = "f.csv"
  expect = { rows_min = dataset.e.rows }
}
# --- file d.csv
a,b
1,2
# --- file e.csv
a
1
# --- file f.csv
a
1
# --- steps
# --- run import dataset.f f.csv
# --- run plan --target=dataset.d --out=saved.plan
# --- remove .mlform/store/objects
# --- run apply saved.plan

dataset "file" "d" {
  path   = "d.csv"
  expect = { rows_min = 100 }
}
check "c" {
  assert {
    condition     = dataset.d.rows > 5
    error_message = "Only ${dataset.d.rows} rows."
  }
}
# --- file d.csv
a,b
1,2
# --- steps
# --- run apply --auto-approve

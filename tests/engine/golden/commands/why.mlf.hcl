variable "least" {
  default = 1
}
dataset "file" "d" {
  path   = "d.csv"
  expect = { rows_min = var.least }
}
# --- file d.csv
a,b
1,2
# --- steps
# --- run why dataset.d --run=last
# --- run plan --out=first.plan
# --- run why dataset.e --plan=first.plan
# --- run why dataset.d --plan=gone.plan
# --- run apply --auto-approve
# --- run why dataset.e --not
# --- run why dataset.d --run=last --plan=first.plan
# --- run why dataset.d --run=r-20260131-060000-abcdef
# --- run why dataset.e --run=last
# --- run savings --since=yesterday

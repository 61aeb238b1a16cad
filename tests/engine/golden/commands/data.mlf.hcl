dataset "file" "fixed" {
  path    = "d.csv"
  version = { mode = "fixed", value = "sha256:0123" }
}
dataset "file" "missing" {
  path = "nowhere.csv"
}
# --- file d.csv
a,b
1,2
# --- steps
# --- run plan
# --- run validate

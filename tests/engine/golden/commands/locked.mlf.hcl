dataset "file" "d" {
  path = "d.csv"
}
# --- file d.csv
a,b
1,2
# --- steps
# --- lock
# --- run apply --auto-approve

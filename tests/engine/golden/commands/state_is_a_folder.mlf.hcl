dataset "file" "d" {
  path = "d.csv"
}
# --- file .mlform/state.db/inside
x
# --- file d.csv
a,b
1,2
# --- steps
# --- run plan
# --- run apply --auto-approve

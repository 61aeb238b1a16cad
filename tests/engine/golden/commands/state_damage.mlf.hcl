dataset "file" "d" {
  path = "d.csv"
}
# --- file d.csv
a,b
1,2
# --- steps
# --- run apply --auto-approve
# --- sql UPDATE records SET address = 'dataset.e'
# --- run plan
# --- sql UPDATE state SET outputs = '{}x'
# --- run output
# --- sql UPDATE state SET schema_version = 999
# --- run state list

dataset "file" "d" {
  path = "d.csv"
}
# --- file d.csv
a,b
1,2
# --- file .mlform/modules/here

# --- steps
# --- bytes .mlform/state.db 6e6f742061206461746162617365206174206f6c6c2c206e6f74206f6e65
# --- run plan
# --- run state list

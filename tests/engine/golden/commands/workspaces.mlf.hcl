dataset "file" "d" {
  path = "d.csv"
}
# --- file d.csv
a,b
1,2
# --- steps
# --- tell workspace new "a b"
# --- tell workspace new prod
# --- tell workspace new prod
# --- tell workspace select prdo
# --- tell workspace delete default
# --- tell workspace delete prod
# --- tell workspace delete prdo
# --- run apply --auto-approve
# --- tell workspace select default
# --- tell workspace delete prod
# --- env MLFORM_WORKSPACE prod
# --- tell workspace select default
# --- tell workspace new other
# --- env MLFORM_WORKSPACE /prod
# --- run plan
# --- env MLFORM_WORKSPACE prdo
# --- run plan

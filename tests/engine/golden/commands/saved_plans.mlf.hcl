dataset "file" "d" {
  path = "d.csv"
}
# --- file d.csv
a,b
1,2
# --- file other/d.csv
a,b
1,2
# --- file other/main.mlf.hcl
dataset "file" "d" {
  path = "d.csv"
}
# --- file text.plan
not a plan
# --- file newer.plan
{"format": 999}
# --- file half.plan
{"format": 3}
# --- steps
# --- run show text.plan
# --- run apply newer.plan
# --- run show half.plan
# --- run apply --auto-approve
# --- run apply --auto-approve --chdir=other
# --- run plan --out=saved.plan
# --- run apply saved.plan --chdir=other
# --- tell taint dataset.d
# --- run apply saved.plan

dataset "file" "d" {
  path = "d.csv"
}
dataset "file" "more" {
  path = "d.csv"
}
dataset "file" "off" {
  path = "d.csv"
  lifecycle {
    enabled = false
  }
}
output "rows" {
  value = dataset.d.rows
}
output "all" {
  value = [dataset.d.rows]
}
# --- file d.csv
a,b
1,2
# --- steps
# --- run output rows
# --- run state show dataset.d
# --- run apply
# --- run apply --auto-approve
# --- run plan --target=dataset.e
# --- run plan --as-of=tomorrow
# --- tell graph --format=png
# --- tell graph --type=modules
# --- run show nowhere.plan
# --- run apply nowhere.plan
# --- run output row
# --- run output --raw
# --- run output all --raw
# --- run state show dataset.e
# --- run state show dataset
# --- run why dataset.e
# --- tell taint dataset.e
# --- tell untaint dataset.d
# --- tell force-unlock lease-1
# --- run monitor run monitor.m
# --- run monitor run
# --- run plan --refresh=often
# --- run plan --refresh-only --replace=dataset.d
# --- run plan --adopt=dataset.d
# --- run plan --revert=dataset.d
# --- run plan --adopt=dataset.d --refresh=false
# --- run plan --replace=dataset.d --target=dataset.off
# --- run plan --replace=dataset.d --target=dataset.more
# --- run plan --replace=dataset.d --exclude=dataset.d
# --- run plan --replace=dataset.d --destroy
# --- show why -not dataset.off

dataset "file" "d" {
  path = "d.csv"
}
dataset "file" "e" {
  path = "e.csv"
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "code.py:shift"
}
# --- file d.csv
a,b
1,2
# --- file e.csv
a,b
3,4
# --- file code.py
def shift(table):
    return table + 1
# --- steps
# --- run logs dataset.d
# --- run apply --auto-approve
# --- run state show dataset.d --serial=1 --at=2026-01-31
# --- run state show dataset.d --serial=7
# --- run state show dataset.d --at=sometime
# --- run state diff 7
# --- run logs feature_view.g
# --- run logs feature_view.f --attempt=1
# --- run logs feature_view.f --attempt=-1
# --- run state mv dataset.d dataset.e
# --- run state replace-provider core sklaern
# --- run state replace-provider sklaern core
# --- run state replace-provider core sklearn
# --- sql UPDATE journal SET serial = 99 WHERE address = 'dataset.d' AND operation = 'done'
# --- run audit dataset.d

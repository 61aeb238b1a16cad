dataset "file" "d" {
  path = "d.csv"
}
feature_view "python" "exact" {
  from      = dataset.d
  transform = "code.py:shift"
  lifecycle {
    determinism = "bitwise"
  }
}
feature_view "python" "close" {
  from      = dataset.d
  transform = "code.py:shift"
  params    = { by = 1 }
  lifecycle {
    determinism = "statistical"
  }
}
# --- file d.csv
a,b
1,2
3,4
# --- file luck.txt
1
# --- file code.py
from pathlib import Path


def shift(table, by=0):
    return table + by + int(Path(__file__).with_name("luck.txt").read_text())
# --- steps
# --- run apply --auto-approve
# --- bytes luck.txt 32
# --- run apply --auto-approve --replace=feature_view.exact
# --- run apply --auto-approve --replace=feature_view.close

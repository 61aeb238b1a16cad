dataset "file" "d" {
  path = "d.csv"
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "code.py:clean"
}
# --- file d.csv
a,b
1,2
# --- file code.py
import importlib

import nowhere_installed


def clean(table):
    return importlib.import_module(table.name)
# --- steps
# --- run plan --out=saved.plan
# --- bytes code.py 64656620636c65616e2874293a0a2020202072657475726e20740a
# --- run apply saved.plan

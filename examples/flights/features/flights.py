"""What is known of a flight before it takes off."""

from __future__ import annotations

import pandas as pd

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
LATE_MINUTES = 15


def build(flights: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """Return one row a flight that landed, with ``late``: it arrived over 15 minutes late.

    Nothing is used that is known only later: no departure delay, no times of day it really flew.
    """
    flown = flights[flights["arr_delay"].notna()]
    features = pd.DataFrame(
        {
            "late": (flown["arr_delay"] > LATE_MINUTES).astype("int64"),
            "carrier": flown["carrier"],
            "origin": flown["origin"],
            "dest": flown["dest"],
            "distance": flown["distance"],
            "sched_hour": flown["sched_dep_time"] // 100,
            "sched_minute": flown["sched_dep_time"] % 100,
            "sched_arr_hour": flown["sched_arr_time"] // 100,
            "weekday": flown["time_hour"].dt.day_of_week.astype("int64"),
            "time_hour": flown["time_hour"],
        }
    )
    return features.join(_weather(flown, weather)).join(_plane(flown, planes))


def _weather(flown: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    hourly = weather.drop_duplicates(["origin", "time_hour"]).set_index(["origin", "time_hour"])
    at = pd.MultiIndex.from_frame(flown[["origin", "time_hour"]])
    return hourly[WEATHER].reindex(at).set_axis(flown.index)


def _plane(flown: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    known = planes.drop_duplicates("tailnum").set_index("tailnum")
    mine = known.reindex(flown["tailnum"]).set_axis(flown.index)
    return pd.DataFrame(
        {
            "plane_year": mine["year"],
            "plane_seats": mine["seats"],
            "plane_engine": mine["engine"],
            "plane_maker": mine["manufacturer"],
        }
    )

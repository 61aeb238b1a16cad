"""Two of the models that answer."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler


def linear(rows: pd.DataFrame, late: pd.Series, params: dict[str, Any], seed: int) -> Pipeline:
    """Fit a logistic regression; ``unknown`` says what becomes of a destination it never saw."""
    texts, numbers = _kinds(rows.drop(columns="dest"))
    front = ColumnTransformer(
        [
            ("dest", OneHotEncoder(handle_unknown=params["unknown"]), ["dest"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ]
    )
    rear = LogisticRegression(C=params["C"], max_iter=1000, random_state=seed)
    return make_pipeline(front, rear).fit(rows, late)


def forest(rows: pd.DataFrame, late: pd.Series, params: dict[str, Any], seed: int) -> Pipeline:
    """Fit a forest of ``trees``, with ``leaf`` flights in each leaf at least."""
    texts, numbers = _kinds(rows)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    front = ColumnTransformer([("texts", codes, texts), ("numbers", SimpleImputer(), numbers)])
    rear = RandomForestClassifier(
        params["trees"], min_samples_leaf=params["leaf"], random_state=seed, n_jobs=1
    )
    return make_pipeline(front, rear).fit(rows, late)


def _kinds(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the names of the columns of texts, and of those of numbers."""
    numbers = list(rows.select_dtypes("number").columns)
    return [name for name in rows.columns if name not in numbers], numbers

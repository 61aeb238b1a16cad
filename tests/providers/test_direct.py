"""Models that are called by their parts: as the model answers, at a fraction of its cost."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from tests.providers.serving_bench import FEATURES, META, NUMBERS, table

from mlform_core.columns import arrays, conform, framed
from mlform_core.models import Model
from mlform_core.serving.prepared import hastened
from mlform_core.serving.runtime import Hastened, Native, Parts

TEXTS = ["size"]
PLAIN = [*NUMBERS, "dense"]
NAMES = [f["name"] for f in FEATURES]


class Ratio(TransformerMixin, BaseEstimator):
    """A user's own: knows columns by name."""

    def fit(self, X, y=None):  # noqa: N803 - as scikit-learn has it
        self.done_ = True
        return self

    def transform(self, X):  # noqa: N803 - scikit-learn's name
        found = X["mean radius"] / X["mean texture"]
        return found.fillna(0).to_numpy().reshape(-1, 1)


class Liar(Ratio):
    """Pretends to be of scikit-learn, and makes something else of a matrix."""

    __module__ = "sklearn.nowhere"

    def transform(self, X):  # noqa: N803 - scikit-learn's name
        kept = np.nan_to_num(np.asarray(X, dtype=float))
        return kept if hasattr(X, "columns") else kept + 1


class Lax(TransformerMixin, BaseEstimator):
    """Pretends to be of scikit-learn, and refuses texts only in a frame."""

    __module__ = "sklearn.nowhere"

    def fit(self, X, y=None):  # noqa: N803 - scikit-learn's name
        self.done_ = True
        return self

    def transform(self, X):  # noqa: N803 - scikit-learn's name
        texts = np.asarray(X, dtype=object)[:, 0]
        if hasattr(X, "columns") and "never seen before" in list(texts):
            raise ValueError("never seen before")
        return np.array([[float(t == "s")] for t in texts])


def logs(frame):
    return np.log1p(frame[["mean radius"]].fillna(0).to_numpy())


def one_hot(**given):
    return OneHotEncoder(handle_unknown="ignore", **given)


def scaled():
    return make_pipeline(SimpleImputer(), StandardScaler())


def ordinal():
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def front(*parts, **given):
    return ColumnTransformer([(str(n), *part) for n, part in enumerate(parts)], **given)


def logistic(*steps):
    return make_pipeline(*steps, LogisticRegression(max_iter=500))


BY_PARTS = {
    "dense": lambda: logistic(front((one_hot(sparse_output=False), TEXTS), (scaled(), PLAIN))),
    "sparse": lambda: logistic(front((one_hot(), TEXTS), (scaled(), PLAIN), sparse_threshold=1.0)),
    "sparse made dense": lambda: logistic(
        front((one_hot(), TEXTS), (scaled(), PLAIN), sparse_threshold=0)
    ),
    "places": lambda: logistic(front((one_hot(), [3]), (scaled(), np.array([0, 1, 2, 4])))),
    "remainder": lambda: logistic(front((one_hot(), TEXTS), remainder=SimpleImputer())),
    "passthrough": lambda: make_pipeline(
        front((ordinal(), TEXTS), ("passthrough", PLAIN)),
        HistGradientBoostingClassifier(max_iter=5),
    ),
    "dropped": lambda: logistic(front(("drop", TEXTS), (scaled(), PLAIN), (one_hot(), []))),
    "behind": lambda: logistic(
        front((one_hot(sparse_output=False), TEXTS), (SimpleImputer(), PLAIN)), StandardScaler()
    ),
    "mixed": lambda: logistic(front((ordinal(), ["size", "dense"]), (scaled(), NUMBERS))),
    "function": lambda: logistic(front((FunctionTransformer(logs), PLAIN), (one_hot(), TEXTS))),
    "own": lambda: logistic(front((Ratio(), NUMBERS), (scaled(), PLAIN))),
    "forest": lambda: make_pipeline(
        front((one_hot(), TEXTS), (scaled(), PLAIN)), RandomForestClassifier(10, random_state=0)
    ),
    "calibrated": lambda: CalibratedClassifierCV(
        logistic(front((one_hot(), TEXTS), (scaled(), PLAIN))), cv=3
    ),
    "regression": lambda: make_pipeline(front((one_hot(), TEXTS), (scaled(), PLAIN)), Ridge()),
    "target": lambda: TransformedTargetRegressor(
        make_pipeline(front((one_hot(), TEXTS), (scaled(), PLAIN)), Ridge())
    ),
}
BY_ITSELF = {
    "frames between": lambda: logistic(front((scaled(), PLAIN))).set_output(transform="pandas"),
    "frames in a part": lambda: logistic(
        front((make_pipeline(scaled().set_output(transform="pandas")), PLAIN))
    ),
    "weights": lambda: logistic(front((scaled(), PLAIN), transformer_weights={"0": 2.0})),
    "a series": lambda: logistic(
        front((CountVectorizer(preprocessor=str, analyzer="char"), "size"), (scaled(), PLAIN))
    ),
    "a liar": lambda: logistic(front((Liar(), PLAIN))),
    "a lax one": lambda: logistic(front((Lax(), TEXTS), (scaled(), PLAIN))),
}


def made(estimator, features=FEATURES) -> Model:
    target = load_breast_cancer().target
    estimator.fit(conform(table(), features), target)
    task = "binary" if hasattr(estimator, "predict_proba") else "regression"
    return Model({**META, "task": task, "features": features}, {}, estimator)


def rows(frame=None, unseen=True):
    """Return rows as JSON has them: some with nothing in a column, and a text of its own."""
    frame = (table() if frame is None else frame).iloc[::11].astype({"dense": object})
    found = {n: [None if pd.isna(v) else v for v in frame[n].tolist()] for n in NAMES}
    for place, name in enumerate(NAMES):
        found[name][place] = None
    if unseen:
        found["size"][7] = "never seen before"
    return found


@pytest.mark.parametrize("name", BY_PARTS)
def test_parts_answer_as_the_model_does(name):
    model = made(BY_PARTS[name]())
    asked = rows()
    assert isinstance(hastened(model, asked), Hastened)
    expected = Native(model).predict(asked)
    np.testing.assert_allclose(Parts(model).predict(asked), expected, rtol=1e-12)
    for place in (0, 7, 20):
        one = {n: [values[place]] for n, values in asked.items()}
        np.testing.assert_allclose(Parts(model).predict(one), expected[[place]], rtol=1e-12)


@pytest.mark.parametrize("name", BY_ITSELF)
def test_a_model_whose_parts_would_do_otherwise_runs_by_itself(name):
    model = made(BY_ITSELF[name]())
    assert type(hastened(model, rows(unseen=False))) is Native


@pytest.mark.parametrize("last", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_a_model_without_a_pipeline(last):
    model = made(last(max_iter=5), [f for f in FEATURES if f["type"] != "string"])
    asked = rows()
    assert isinstance(hastened(model, asked), Hastened)
    np.testing.assert_array_equal(Parts(model).predict(asked), Native(model).predict(asked))


def test_more_than_two_classes():
    model = made(BY_PARTS["dense"]())
    model.estimator.fit(conform(table(), FEATURES), table()["size"].astype(str))
    several = Model({**model.meta, "task": "multiclass"}, {}, model.estimator)
    found = hastened(several, rows())
    assert isinstance(found, Hastened)
    assert found.predict(rows()).shape[1] == 3
    np.testing.assert_array_equal(found.predict(rows()), Native(several).predict(rows()))


def test_what_is_refused_is_refused_in_the_words_of_the_model():
    strict = front((OneHotEncoder(sparse_output=False), TEXTS), (scaled(), PLAIN))
    model = made(logistic(strict))
    asked = {**rows(unseen=False), "size": ["s"] * len(rows()["size"])}
    found = hastened(model, asked)
    assert isinstance(found, Hastened)
    for name, wrong in (("size", "xl"), ("mean radius", 1e200 * 1e200), ("mean texture", "much")):
        odd = {**asked, name: [wrong, *asked[name][1:]]}
        with pytest.raises(ValueError) as by_parts:  # noqa: PT011 - compared in full below
            found.predict(odd)
        with pytest.raises(ValueError) as by_itself:  # noqa: PT011 - its words are compared below
            Native(model).predict(odd)
        assert str(by_parts.value) == str(by_itself.value)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("float64", [1, 2.5, None]),
        ("float64", [None, None]),
        ("int64", [1, 2**53 + 1, None]),
        ("int64", [2**63 - 1, -(2**63)]),
        ("bool", [True, None, False]),
        ("bool", [1, 0]),
        ("string", ["a", None, "nan", ""]),
        ("string", [None]),
        ("timestamp", ["2024-02-29T12:00:00+02:00", None, "2024-02-29T10:00:00.25Z"]),
        ("timestamp", ["1970-01-01", None]),
        ("timestamp", ["2024-02-29T12:00:00", "2024-02-29T12:00:00.5"]),
        ("timestamp", [None]),
    ],
)
def test_columns_are_what_conforming_a_frame_makes_of_them(kind, values):
    features = [{"name": "x", "type": kind}]
    expected = conform(pd.DataFrame({"x": values}), features)
    pd.testing.assert_frame_equal(framed(arrays({"x": values}, features)), expected)

"""From import paths to the distributions they come from, without importing them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlform_sklearn.training import TrainingArguments

# Reading the metadata of everything installed takes longer than a plan should.
_KNOWN = {
    "sklearn": "scikit-learn",
    "catboost": "catboost",
    "imblearn": "imbalanced-learn",
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
}


def distributions(new: TrainingArguments) -> list[str]:
    """Name scikit-learn (numpy and scipy follow from it) and the packages of all estimators."""
    found = {"scikit-learn"}
    for path in paths(new):
        top = path.partition(".")[0]
        if top in _KNOWN:
            found.add(_KNOWN[top])
        else:
            found.update(packages_distributions().get(top, []))
    return sorted(found)


def installed(path: str) -> bool:
    """Tell whether an import path leads into an installed package, and not into loose files."""
    top = path.partition(".")[0]
    return top == "sklearn" or top in packages_distributions()


def paths(new: TrainingArguments) -> Iterator[str]:
    """Yield the import path of every estimator that the arguments name."""
    if new.estimator is not None:
        yield new.estimator
    for step in new.pipeline or []:
        yield step.estimator
        yield from _nested(step.params)
    if new.entry is None:
        yield from _nested(new.params)


def is_nested(value: Any) -> bool:
    """Tell whether a parameter's value describes an estimator: ``{ estimator = "…" }``."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("estimator"), str)
        and value.keys() <= {"estimator", "params"}
    )


def _nested(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if is_nested(value):
            yield value["estimator"]
        for inner in value.values():
            yield from _nested(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nested(inner)

"""What an estimator needs in front of it to take raw columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.sdk import ResourceError


def encoded(model: Any, features: Sequence[Mapping[str, str]]) -> Any:
    """Return a pipeline that takes ``features`` as they are and ends in ``model``.

    Strings: categories for histogram gradient boosting (up to its ``max_bins``, rarer ones
    together; unknown ones count as missing), else one-hot (unknown ones are all zeros). Numbers:
    the training median for missing ones where ``model`` takes none. Where nothing is needed, or
    the model begins with a column transformer of its own, it is returned as it is.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    if _chooses_columns(model):
        return model
    named = _named_categories(model, [f["name"] for f in features])
    texts = [f["name"] for f in features if f["type"] == "string" or f["name"] in named]
    numbers = [f["name"] for f in features if f["name"] not in texts]
    impute = bool(numbers) and not _takes_missing(model)
    if not texts and not impute:
        return model
    # Categories first, so that their positions are known before fitting.
    parts: list[tuple[str, Any, list[str]]] = []
    if texts:
        parts.append(("categories", _categories(model, len(texts)), texts))
    if numbers:
        parts.append(("numbers", _imputer() if impute else "passthrough", numbers))
    front = ColumnTransformer(parts, verbose_feature_names_out=False)
    if isinstance(model, Pipeline):
        return Pipeline([("encode", front), *model.steps])
    return Pipeline([("encode", front), ("model", model)])


def _chooses_columns(model: Any) -> bool:
    """Tell whether a model begins with a column transformer, itself or what it wraps."""
    from sklearn.compose import ColumnTransformer

    first = next(iter(_steps(model)), None)
    wrapped = getattr(first, "estimator", None)
    wraps = wrapped is not None and not isinstance(wrapped, str)
    return isinstance(first, ColumnTransformer) or (wraps and _chooses_columns(wrapped))


def _imputer() -> Any:
    from sklearn.impute import SimpleImputer

    return SimpleImputer(strategy="median", keep_empty_features=True)


def _categories(model: Any, count: int) -> Any:
    import numpy as np
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if not _is_histogram(model):
        return OneHotEncoder(handle_unknown="ignore", sparse_output=_takes_sparse(model))
    model.set_params(categorical_features=list(range(count)))
    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=model.max_bins,
    )


def _is_histogram(model: Any) -> bool:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return isinstance(model, (HistGradientBoostingClassifier, HistGradientBoostingRegressor))


def _named_categories(model: Any, names: Sequence[str]) -> set[str]:
    """Return the features that ``categorical_features`` names, by name, position or mask."""
    given = getattr(model, "categorical_features", None) if _is_histogram(model) else None
    if given is None or isinstance(given, str):
        return set()
    items = list(given)
    if items and all(isinstance(i, bool) for i in items):
        items = [place for place, chosen in enumerate(items) if chosen]
    strange = [i for i in items if (i not in names if isinstance(i, str) else i >= len(names))]
    if strange:
        wrong = ", ".join(repr(i) for i in strange)
        detail = f"categorical_features has {wrong}; the features are {', '.join(names)}."
        raise ResourceError("Invalid parameter", detail, argument="params")
    return {i if isinstance(i, str) else names[i] for i in items}


def _steps(model: Any) -> list[Any]:
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline):
        return [step for _, step in model.steps if not isinstance(step, str)]
    return [model]


def _takes_missing(model: Any) -> bool:
    """Tell whether a missing number may come when it is asked, even if none came in training.

    scikit-learn's trees and forests say they take missing values, but refuse them later if there
    were none in training; so of its own predictors only histogram gradient boosting counts.
    """
    from sklearn.utils import get_tags

    *front, last = _steps(model)
    for step in front:
        if type(step).__module__.startswith("sklearn.impute"):
            return True
        if not get_tags(step).input_tags.allow_nan:
            return False
    foreign = not type(last).__module__.startswith("sklearn.")
    return _is_histogram(last) or (foreign and bool(get_tags(last).input_tags.allow_nan))


def _takes_sparse(model: Any) -> bool:
    from sklearn.utils import get_tags

    return all(get_tags(step).input_tags.sparse for step in _steps(model))

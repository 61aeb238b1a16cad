"""What an estimator needs in front of it to take raw columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def encoded(model: Any, features: Sequence[Mapping[str, str]]) -> Any:
    """Return a pipeline that takes ``features`` as they are and ends in ``model``.

    Strings: categories for histogram gradient boosting (up to its ``max_bins``, rarer ones
    together; unknown ones count as missing), else one-hot (unknown ones are all zeros). Numbers:
    the training median for missing ones where ``model`` takes none. Where nothing is needed the
    model is returned as it is.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline, make_pipeline

    texts = [f["name"] for f in features if f["type"] == "string"]
    numbers = [f["name"] for f in features if f["type"] != "string"]
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
    return make_pipeline(front, model) if False else Pipeline([("encode", front), ("model", model)])


def _imputer() -> Any:
    from sklearn.impute import SimpleImputer

    return SimpleImputer(strategy="median", keep_empty_features=True)


def _categories(model: Any, count: int) -> Any:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if isinstance(model, (HistGradientBoostingClassifier, HistGradientBoostingRegressor)):
        if not _names_categories(model):
            model.set_params(categorical_features=list(range(count)))
        return OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
            encoded_missing_value=np.nan,
            max_categories=model.max_bins,
        )
    return OneHotEncoder(handle_unknown="ignore", sparse_output=_takes_sparse(model))


def _names_categories(model: Any) -> bool:
    given = model.categorical_features
    return given is not None and not (isinstance(given, str) and given == "from_dtype")


def _steps(model: Any) -> list[Any]:
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline):
        return [step for _, step in model.steps if not isinstance(step, str)]
    return [model]


def _takes_missing(model: Any) -> bool:
    from sklearn.utils import get_tags

    for step in _steps(model):
        if type(step).__module__.startswith("sklearn.impute"):
            return True
        if not get_tags(step).input_tags.allow_nan:
            return False
    return True


def _takes_sparse(model: Any) -> bool:
    from sklearn.utils import get_tags

    return all(get_tags(step).input_tags.sparse for step in _steps(model))

"""A model ready to answer: loaded, checked against its digest, and tried once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlform.sdk import ResourceError
from mlform_core.models import Model, load
from mlform_core.profiles import usual
from mlform_core.serving import settings
from mlform_core.serving.settings import Serving

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Revision:
    """A model and what answers say of it: one object, so that a swap is one assignment."""

    model: Model
    digest: str
    number: int


def prepare(home: Path, serving: Serving) -> Revision:
    """Load the model of ``serving`` and let it predict a typical row.

    So the first request finds it ready, and a model that cannot answer never serves. Raises
    ``ResourceError``.
    """
    import numpy as np

    path = settings.bundle(home, serving.digest)
    _verify(path, serving.digest)
    model = load(path, allow_pickle=serving.allow_pickle)
    try:
        found = model.predict(_typical(model))
    except Exception as error:
        # A model is foreign code: it may raise anything.
        detail = f"{serving.digest} cannot predict a typical row: {type(error).__name__}: {error}"
        raise ResourceError("Model does not predict", detail, argument="model") from error
    if len(found) != 1 or not np.isfinite(found).all():
        detail = f"{serving.digest} predicts {found.tolist()} for one typical row."
        raise ResourceError("Model does not predict", detail, argument="model")
    return Revision(model, serving.digest, serving.revision)


def _verify(path: Path, digest: str) -> None:
    try:
        with path.open("rb") as source:
            found = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        detail = f"The copy of the model at {path} cannot be read: {error.strerror}."
        raise ResourceError("Model not found", detail, argument="model") from error
    if found != digest:
        detail = f"The copy of the model at {path} is damaged: it is {found}, not {digest}."
        raise ResourceError("Model is damaged", detail, argument="model")


def _typical(model: Model) -> pd.DataFrame:
    import pandas as pd

    row = {f["name"]: [usual(model.reference.get(f["name"]), f)] for f in model.meta["features"]}
    return pd.DataFrame(row)

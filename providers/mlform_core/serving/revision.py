"""A model that answers: what it says of itself, and the workers that predict with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlform.sdk import ResourceError
from mlform_core.bundles import BundleError
from mlform_core.models import told
from mlform_core.serving import features, prepared, settings
from mlform_core.serving.pool import Pool
from mlform_core.serving.protocol import Schema
from mlform_core.serving.settings import Serving


@dataclass(frozen=True, eq=False)
class Revision:
    """A model and what answers say of it: one object, so that a swap is one assignment."""

    meta: Mapping[str, Any]
    digest: str
    number: int
    label: str
    """What it is called in metrics: the number, the name of a variant, "shadow"."""
    runtime: str
    schema: Schema
    pool: Pool
    view: str = ""
    """The digest of the feature view that makes its features, "" if requests have them."""


async def opened(home: Path, serving: Serving, digest: str, label: str = "") -> Revision:
    """Start workers with a model; they have answered as the model does.

    Raises ``ResourceError``.
    """
    folder = settings.bundle(home, digest)
    _verify(settings.model(folder), digest)
    try:
        meta, _ = told(settings.model(folder))
    except (BundleError, KeyError, ValueError) as error:
        raise ResourceError("Invalid model file", f"{error}.", argument="model") from error
    found = prepared.read(folder)
    if found is None:
        raise ResourceError("Model not found", f"{folder} was not prepared.", argument="model")
    schema, view = Schema(meta, frozenset(found.required)), serving.views.get(digest, "")
    if view:
        inputs, time = features.request(settings.view(home, view))
        needed = frozenset(i["name"] for i in inputs if i["required"])
        schema = Schema(meta, needed, inputs, time)
    pool = Pool(
        folder,
        settings.view(home, view) if view else None,
        schema.names,
        serving.workers,
        serving.timeout,
        pickle=serving.allow_pickle,
    )
    await pool.start()
    number = serving.revision
    label = label or str(number)
    return Revision(meta, digest, number, label, found.runtime, schema, pool, view)


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

"""The pipeline of ``serving.py`` as a service of BentoML."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Tumours:
    """Answers rows with probabilities."""

    def __init__(self) -> None:
        self.pipeline = joblib.load(os.environ["SERVING_MODEL"])

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        """Return the probabilities of each class, row by row."""
        found: list[list[float]] = self.pipeline.predict_proba(pd.DataFrame(rows)).tolist()
        return found

"""The pipeline of ``serving.py``, and how each peer has it saved; runs in the peers' Pythons."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = [f"mean {n}" for n in ("radius", "texture", "smoothness", "concavity", "symmetry")]
NUMBERS += ["worst radius", "worst texture"]
TEXTS = {"size": "mean area", "density": "mean compactness", "edge": "worst smoothness"}
FEATURES = [
    *({"name": n, "type": "float64"} for n in NUMBERS),
    *({"name": n, "type": "string"} for n in TEXTS),
]
FINAL: dict[str, Any] = {
    "logistic": lambda: LogisticRegression(max_iter=1000),
    "forest": lambda: RandomForestClassifier(100, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(random_state=0),
}


def table() -> tuple[pd.DataFrame, pd.Series]:
    """Return ten raw columns, three of them texts, and the target."""
    data = load_breast_cancer(as_frame=True)
    frame = data.data[NUMBERS].copy()
    for name, source in TEXTS.items():
        frame[name] = pd.cut(data.data[source], 4, labels=["s", "m", "l", "xl"]).astype(object)
    return frame, data.target


def row() -> dict[str, Any]:
    """Return one row as clients send it."""
    return dict(table()[0].iloc[17].items())


def fitted(kind: str) -> Any:
    """Return the pipeline, trained: the same wherever this runs."""
    frame, target = table()
    scaler = [StandardScaler()] if kind == "logistic" else []
    front = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(TEXTS)),
            ("numbers", make_pipeline(SimpleImputer(), *scaler), NUMBERS),
        ]
    )
    return make_pipeline(front, FINAL[kind]()).fit(frame, target)


def save(peer: str, kind: str, folder: Path) -> None:
    """Save the pipeline as one of the peers has it."""
    import joblib

    pipeline = fitted(kind)
    if peer == "mlflow":
        import mlflow.sklearn

        mlflow.sklearn.save_model(
            pipeline,
            folder / "mlflow",
            pyfunc_predict_fn="predict_proba",
            serialization_format="cloudpickle",
        )
    elif peer == "bentoml":
        joblib.dump(pipeline, folder / "bentoml.joblib")
    else:
        home = folder / "mlserver"
        home.mkdir()
        joblib.dump(pipeline, home / "model.joblib")
        about = {
            "name": "tumours",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib"},
        }
        (home / "model-settings.json").write_text(json.dumps(about))
        # No further process: the model runs in the server's own, which is its fastest way here.
        (home / "settings.json").write_text(json.dumps({"parallel_workers": 0, "debug": False}))


if __name__ == "__main__":
    save(sys.argv[1], sys.argv[2], Path(sys.argv[3]))

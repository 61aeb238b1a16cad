"""The embedded defaults: file datasets, python features, gates, registry, serving, monitors."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from mlform.sdk import AnyResource, Provider

_TYPES: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("dataset", "file"): ("mlform_core.file", "File"),
    ("dataset", "object"): ("mlform_core.object", "Object"),
    ("dataset", "python"): ("mlform_core.functions", "Function"),
    ("dataset", "sql"): ("mlform_core.sql", "Sql"),
    ("feature_view", "python"): ("mlform_core.features", "Python"),
    ("feature_view", "sql"): ("mlform_core.queries", "SqlView"),
    ("gate", "data"): ("mlform_core.gate_data", "Data"),
    ("gate", "evaluation"): ("mlform_core.gate", "Evaluation"),
    ("gate", "python"): ("mlform_core.gate_python", "Python"),
    ("model", "registry"): ("mlform_core.registry", "Registry"),
    ("deployment", "http"): ("mlform_core.http", "Http"),
    ("monitor", "drift"): ("mlform_core.monitor", "Drift"),
    ("monitor", "performance"): ("mlform_core.performance", "Performance"),
    ("monitor", "service"): ("mlform_core.service", "Service"),
    ("training_job", "lightgbm"): ("mlform_core.training.lgbm", "LightGBM"),
    ("training_job", "python"): ("mlform_core.training.python", "Python"),
    ("training_job", "tune"): ("mlform_core.training.tune", "Tune"),
    ("training_job", "xgboost"): ("mlform_core.training.xgb", "XGBoost"),
}
"""Kind and type → module and class: a spec loads the types it uses."""


class Core(Provider):
    """Types that need a local machine and nothing else."""

    def resources(self) -> Sequence[AnyResource]:
        """Return one instance of each type."""
        return [_made(*place) for place in _TYPES.values()]

    def resource(self, kind: str, type: str) -> AnyResource | None:  # noqa: A002 - its name
        """Return what implements one type, and load no other."""
        place = _TYPES.get((kind, type))
        return None if place is None else _made(*place)


def _made(module: str, name: str) -> AnyResource:
    found: AnyResource = getattr(import_module(module), name)()
    return found

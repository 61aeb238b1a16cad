"""The embedded defaults: file datasets, python features, gates, registry, serving, monitors."""

from collections.abc import Sequence

from mlform.sdk import AnyResource, Provider


class Core(Provider):
    """Types that need a local machine and nothing else."""

    def resources(self) -> Sequence[AnyResource]:
        """Return one instance of each type."""
        from mlform_core.features import Python
        from mlform_core.file import File
        from mlform_core.gate import Evaluation
        from mlform_core.http import Http
        from mlform_core.monitor import Drift
        from mlform_core.registry import Registry

        return [File(), Python(), Evaluation(), Registry(), Http(), Drift()]

"""Training with scikit-learn. Importing this loads no scikit-learn; running a resource does."""

from collections.abc import Sequence

from mlform.sdk import AnyResource, Provider


class Sklearn(Provider):
    """``training_job "sklearn"``."""

    def resources(self) -> Sequence[AnyResource]:
        """Return one instance of each type."""
        from mlform_sklearn.training import Training

        return [Training()]

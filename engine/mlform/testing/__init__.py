"""``*.mlftest.hcl``: specs put to the test, in a state of their own."""

from mlform.testing.files import TestFile, read_files
from mlform.testing.runs import Outcome, Reporter, Status, run_file

__all__ = ["Outcome", "Reporter", "Status", "TestFile", "read_files", "run_file"]

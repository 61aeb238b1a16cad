"""Alarms and ticks → moved inputs. Ordinary planning then finds exactly the stages that follow."""

from mlform.reconcile.past import Act, Past, past
from mlform.reconcile.triggers import Advance, Known, Moved, Pull, pull

__all__ = ["Act", "Advance", "Known", "Moved", "Past", "Pull", "past", "pull"]

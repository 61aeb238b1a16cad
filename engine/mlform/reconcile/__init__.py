"""Alarms and ticks → moved inputs. Ordinary planning then finds exactly the stages that follow."""

from mlform.reconcile.triggers import Advance, Known, Moved, Past, Pull, pull

__all__ = ["Advance", "Known", "Moved", "Past", "Pull", "pull"]

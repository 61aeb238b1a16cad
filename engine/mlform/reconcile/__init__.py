"""Alarms → moved inputs. Ordinary planning then finds exactly the stages that follow."""

from mlform.reconcile.triggers import Advance, Moved, Pull, pull

__all__ = ["Advance", "Moved", "Pull", "pull"]

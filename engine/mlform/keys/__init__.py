"""What a result depends on: the closure of user code, the environment, and the action key."""

from mlform.keys.action import action_key
from mlform.keys.cache import ClosureCache
from mlform.keys.closure import Closure, changed_code, closure
from mlform.keys.errors import CodeError
from mlform.keys.installed import astray, environment, installed_version
from mlform.keys.lock import Lock
from mlform.keys.offered import entry_points

__all__ = [
    "Closure",
    "ClosureCache",
    "CodeError",
    "Lock",
    "action_key",
    "astray",
    "changed_code",
    "closure",
    "entry_points",
    "environment",
    "installed_version",
]

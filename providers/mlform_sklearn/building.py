"""From import paths and parameters to an unfitted estimator. Needs no data."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import takewhile
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mlform.sdk import ResourceError
from mlform_sklearn.packages import installed, is_nested

if TYPE_CHECKING:
    from mlform_sklearn.training import Step, TrainingArguments


def build(new: TrainingArguments) -> Any:
    """Return the estimator or pipeline the arguments describe, seeded, every parameter checked.

    Raises ``ResourceError`` for what cannot be imported, is no estimator, or has no such
    parameter or value.
    """
    if new.pipeline is None:
        if new.estimator is None:
            raise ValueError("there is nothing to build: the model comes from entry")
        model = _make(new.estimator, new.params, "estimator", "params")
    else:
        model = _pipeline(new.pipeline)
        _set(model, new.params, "the pipeline", "params")
    _fill(model, "random_state", new.seed)
    if new.threads > 1:
        _fill(model, "n_jobs", new.threads)
    _check_values(model, "params" if new.pipeline is None else "pipeline")
    return model


def _pipeline(steps: list[Step]) -> Any:
    from sklearn.pipeline import Pipeline

    made: list[tuple[str, Any]] = []
    taken: dict[str, int] = {}
    for step in steps:
        part = _make(step.estimator, step.params, "pipeline", "pipeline")
        name = step.name or type(part).__name__.lower()
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            if step.name:
                detail = f'Two steps are called "{name}".'
                raise ResourceError("Invalid pipeline", detail, argument="pipeline")
            name = f"{name}-{taken[name]}"
        made.append((name, part))
    for name, part in made[:-1]:
        if not hasattr(part, "transform"):
            detail = (
                f'Step "{name}" ({type(part).__name__}) is not the last and transforms nothing.'
            )
            raise ResourceError("Invalid pipeline", detail, argument="pipeline")
    return Pipeline(made)


def _make(path: str, params: Mapping[str, Any], argument: str, params_argument: str) -> Any:
    made = found(path, argument)
    known = _parameters(made)
    if known is not None:
        refuse_unknown(params, known, made.__name__, params_argument)
    values = {name: _value(value, argument) for name, value in params.items()}
    try:
        return made(**values)
    except (TypeError, ValueError) as error:
        detail = f"{made.__name__}: {error}"
        raise ResourceError("Invalid parameter", detail, argument=params_argument) from error


def _value(value: Any, argument: str) -> Any:
    if is_nested(value):
        return _make(value["estimator"], value.get("params", {}), argument, "params")
    if isinstance(value, list):
        return [_value(v, argument) for v in value]
    return value


def _parameters(made: type) -> list[str] | None:
    """Return the names the class takes, or ``None`` if it takes any."""
    parameters = inspect.signature(made).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters]


def refuse_unknown(given: Iterable[str], known: Iterable[str], owner: str, argument: str) -> None:
    """Raise ``ResourceError`` for parameters that are not among those known."""
    known = list(known)
    problems = []
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.5)
            means = f" Did you mean {_either(near)}?" if near else ""
            there = "" if near else f" It has {', '.join(sorted(known))}."
            problems.append(f'{owner} has no parameter "{name}".{means}{there}')
    if problems:
        raise ResourceError("Unknown parameter", "\n".join(problems), argument=argument)


def _set(model: Any, params: Mapping[str, Any], owner: str, argument: str) -> None:
    if params:
        refuse_unknown(params, model.get_params(deep=True), owner, argument)
        model.set_params(**{name: _value(value, argument) for name, value in params.items()})


def _fill(model: Any, name: str, value: Any) -> None:
    """Set ``name`` wherever the model or a part of it has it and nobody gave a value."""
    unset = {
        key: value
        for key, was in model.get_params(deep=True).items()
        if was is None and (key == name or key.endswith(f"__{name}"))
    }
    if unset:
        model.set_params(**unset)


def _check_values(model: Any, argument: str) -> None:
    """Let each part check its parameters, as ``fit`` would, before any data are read."""
    from sklearn.utils._param_validation import InvalidParameterError

    parts = [model, *(p for p in model.get_params(deep=True).values() if hasattr(p, "get_params"))]
    problems = []
    for part in parts:
        check = getattr(part, "_validate_params", None)
        if check is None or isinstance(part, type):
            continue
        try:
            check()
        except InvalidParameterError as error:
            problems.append(str(error))
    if problems:
        detail = "\n".join(dict.fromkeys(problems))
        raise ResourceError("Invalid parameter", detail, argument=argument)


def refuse_missing(path: str, argument: str) -> None:
    """Raise ``ResourceError`` where an import path leads into no installed package."""
    if installed(path):
        return
    top = path.partition(".")[0]
    near = " Did you mean sklearn?" if get_close_matches(top, ["sklearn"]) else ""
    detail = (
        f'"{top}" (of {path}) is not an installed package.{near} Install it, or, for an '
        "estimator of your own, write entry: its code is then part of what decides when "
        "to train again."
    )
    raise ResourceError("Unknown estimator", detail, argument=argument)


def found(path: str, argument: str) -> type:
    """Import the class an import path names. Raises ``ResourceError`` if it is no estimator."""
    refuse_missing(path, argument)
    module_name, _, name = path.rpartition(".")
    module = _module(module_name, path, argument)
    made = getattr(module, name, None)
    if made is None:
        raise ResourceError(
            "Unknown estimator", f"There is no {path}.{_meant(module, name)}", argument=argument
        )
    if not (isinstance(made, type) and hasattr(made, "fit") and hasattr(made, "get_params")):
        detail = f"{path} is no class with fit and get_params, as scikit-learn's estimators have."
        raise ResourceError("Not an estimator", detail, argument=argument)
    return made


def _module(name: str, path: str, argument: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name != missing and not name.startswith(f"{missing}."):
            detail = f"{name} needs {missing}, which is not installed."
            raise ResourceError("Estimator not importable", detail, argument=argument) from error
        meant = _meant(None, path.rpartition(".")[2])
        detail = f"There is no module {missing} (of {path}).{meant}"
        raise ResourceError("Unknown estimator", detail, argument=argument) from error
    except ImportError as error:
        detail = f"{name} cannot be imported: {error}."
        raise ResourceError("Estimator not importable", detail, argument=argument) from error


def _meant(module: ModuleType | None, name: str) -> str:
    from sklearn.utils import all_estimators

    known: dict[str, str] = {}
    for known_name, cls in all_estimators():
        public = takewhile(lambda part: not part.startswith("_"), cls.__module__.split("."))
        known[known_name] = ".".join([*public, known_name])
    if module is not None and not module.__name__.startswith("sklearn"):
        known = {n: f"{module.__name__}.{n}" for n in dir(module)}
    near = [known[n] for n in get_close_matches(name, known, n=3)]
    return f" Did you mean {_either(near)}?" if near else ""


def _either(names: list[str]) -> str:
    return " or ".join(names)

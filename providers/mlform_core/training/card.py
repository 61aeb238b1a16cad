"""The model card: what a model is, what it was made of and how good it is, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlform.sdk import Context
from mlform_core.training.arguments import TableArguments, TrainingAttributes


def card(ctx: Context, new: TableArguments, made: TrainingAttributes) -> str:
    """Return a model's card. Nothing in it is a row of the data: the example is a typical one."""
    from mlform_core import models
    from mlform_core.profiles import usual

    meta, reference = models.told(ctx.artifacts.path(made.model.digest))
    lines = [f"# {ctx.address}", ""]
    lines += [new.description, ""] if new.description else []
    facts = {
        "Model": f"`{made.model.digest}`",
        "Task": f"{made.task}: `{made.target}`",
        "Estimator": ", ".join(f"`{part}`" for part in _parts(made.receipt.get("model"))),
        "Made by": f"{meta['framework']} {meta['framework_version']}, format {meta['format']}",
        "Owner": new.owner,
        "Data": f"{new.data.address} `{new.data.digest}`",
        "Trained on": f"{made.rows:,} rows"
        + ("" if new.split is None else f' of part "{new.split}"'),
        "Seed": str(new.seed),
        "Key": f"`{ctx.receipt['key']}`" if ctx.receipt.get("key") else None,
    }
    lines += _table(("", ""), [(n, v) for n, v in facts.items() if v])
    lines += ["## Signature", "", "An example that is typical of the training data, no row of it:"]
    example = {f["name"]: usual(reference.get(f["name"]), f) for f in meta["features"]}
    rows = [
        (f["name"], f["type"], f"`{_written(example[f['name']], f['type'])}`")
        for f in meta["features"]
    ]
    lines += ["", *_table(("column", "type", "example"), rows)]
    lines += [f"It gives {_output(meta)}.", "", "## Parameters", ""]
    lines += _table(("parameter", "value"), list(_flat(made.receipt.get("params") or {})))
    lines += ["## Metrics", ""]
    names = list(dict.fromkeys(n for part in made.metrics.values() for n in part))
    measured = [
        (part, *(_number(found.get(n)) for n in names)) for part, found in made.metrics.items()
    ]
    lines += _table(("part", *names), measured)
    lines += ["No judgement hangs on these: a gate measures anew.", ""]
    versions = made.receipt.get("versions") or {}
    lines += ["## Made with", "", ", ".join(f"{n} {v}" for n, v in versions.items()), ""]
    return "\n".join(lines)


def _parts(estimator: Any) -> list[str]:
    return estimator if isinstance(estimator, list) else [estimator] if estimator else []


def _written(value: Any, type_: str) -> Any:
    whole = type_ == "int64" and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def _output(meta: Mapping[str, Any]) -> str:
    if meta["task"] == "regression":
        return f"a value of `{meta['target']}` (float64)"
    classes = ", ".join(f"`{c}`" for c in meta["classes"])
    if meta["task"] == "binary":
        return f"the probability that `{meta['target']}` is `{meta['classes'][1]}` (float64)"
    return f"a probability for each of {classes} (float64)"


def _flat(params: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", f"`{value}`"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    if not rows:
        return ["None.", ""]
    cells = [head, ["---"] * len(head), *rows]
    told = [" | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in r) for r in cells]
    return [*(f"| {line} |" for line in told), ""]

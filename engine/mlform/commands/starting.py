"""``init``: check that a folder can be worked in; in an empty one, write a small example."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mlform.commands.fetching import get
from mlform.commands.session import Session
from mlform.config.sources import JSON_SUFFIX, SUFFIX
from mlform.files import write_file
from mlform.lazy import dataclass

EXAMPLE: Final = """\
# A first spec: a dataset and a model trained on it. `mlform plan` shows what it means.

dataset "file" "flowers" {
  path = "data/flowers.csv"
  split = {
    by    = "hash"
    on    = ["id"]
    seed  = 7
    parts = { train = 0.7, holdout = 0.3 }
  }
}

training_job "sklearn" "flowers" {
  data      = dataset.flowers
  target    = "species"
  exclude   = ["id"]
  estimator = "sklearn.linear_model.LogisticRegression"
  params    = { max_iter = 1000 }
  seed      = 1
}

gate "evaluation" "good_enough" {
  candidate = training_job.flowers.model
  data      = dataset.flowers
  require   = { accuracy = { min = 0.85 } }
}

model "registry" "flowers" {
  candidate = training_job.flowers.model
  champion  = { require = [gate.good_enough] }
}
"""
IGNORED: Final = ".mlform/\n"


@dataclass(frozen=True)
class Started:
    """What ``init`` wrote, and which providers the spec uses."""

    written: tuple[str, ...]
    providers: tuple[str, ...]


def init(root: Path, *, example: bool) -> Started:
    """Prepare a folder. Raises ``DiagnosedError`` where its spec is wrong."""
    root.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    specs = [p for p in root.iterdir() if p.name.endswith((SUFFIX, JSON_SUFFIX))]
    if example and not specs:
        (root / f"main{SUFFIX}").write_text(EXAMPLE, encoding="utf-8")
        written.append(f"main{SUFFIX}")
        if not (root / "data" / "flowers.csv").exists():
            _flowers(root / "data" / "flowers.csv")
            written.append("data/flowers.csv")
    ignore = root / ".gitignore"
    lines = ignore.read_text(encoding="utf-8") if ignore.is_file() else ""
    if IGNORED.strip() not in lines.split():
        ends = "" if not lines or lines.endswith("\n") else "\n"
        write_file(ignore, f"{lines}{ends}{IGNORED}".encode())
        written.append(".gitignore")
    session = Session(root)
    get(session)
    project, _ = session.configured
    used = {r.offer.provider for r in project.resources.values() if r.offer.target}
    return Started(tuple(written), tuple(sorted(used)))


def _flowers(path: Path) -> None:
    """Write Fisher's iris data (1936), as scikit-learn ships them."""
    import csv
    from importlib.util import find_spec

    found = find_spec("sklearn")
    if found is None or found.origin is None:
        from mlform.diagnostics import stop

        raise stop("Example needs scikit-learn", "Install it: pip install 'mlform[local]'.")
    shipped = Path(found.origin).parent / "datasets" / "data" / "iris.csv"
    with shipped.open(encoding="utf-8", newline="") as source:
        first, *rows = list(csv.reader(source))
    species = first[2:]
    header = ["id", "sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(header)
        for number, row in enumerate(rows):
            writer.writerow([number, *row[:4], species[int(row[4])]])

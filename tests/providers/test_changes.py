"""Each argument of each type, changed in a real spec: planned as its class says, then at rest.

Every argument of every type is here or among those that need a real thing, with the reason.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import pytest
from tests.providers.changing import CODE, DATASET, PINNED, SPLIT, TOLD, Roomy
from tests.providers.served import DEPLOYMENT, SECRET, SERVED, SERVERS, VIEWED

from mlform.commands.applying import apply
from mlform.commands.session import Session
from mlform.refresh.world import aliased_classes
from mlform.registry import Registry
from mlform.testing.changes import Changed, check_changes


def rows(number: int) -> list[tuple[object, ...]]:
    return [
        (i, "ab"[i % 2], f"2024-01-{i % 28 + 1:02} 10:00:00", i % 7, i % 5 + i / 90)
        for i in range(number)
    ]


ROWS = rows(90)


def text(rows: list[tuple[object, ...]]) -> str:
    lines = ["id,g,t,x,y,late", *(",".join(map(str, (*r, int(r[3]) > 3))) for r in rows)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "d.csv").write_text(text(ROWS))
    (tmp_path / "e.csv").write_text(text(ROWS[:70]))
    (tmp_path / "many.csv").write_text(text(rows(3000)))
    (tmp_path / "tried_steps.py").write_text(CODE)
    (tmp_path / "note.txt").write_text("read me")
    for part in ("k=1", "k=2"):
        (tmp_path / "in" / part).mkdir(parents=True)
        (tmp_path / "in" / part / "d.csv").write_text(text(ROWS[:70]))
    with sqlite3.connect(tmp_path / "d.db") as db:
        for table in ("one", "two"):
            db.execute(f"CREATE TABLE {table} (id INT, g TEXT, t TEXT, x INT, y REAL)")
            db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", ROWS)  # noqa: S608 - ours
    monkeypatch.setenv("WHERE", f"sqlite:///{tmp_path}/d.db")
    monkeypatch.setenv("ELSEWHERE", f"sqlite:///{tmp_path}/./d.db")
    with mock.patch("mlform.execute.LocalExecutor", return_value=Roomy()):
        yield tmp_path


DATA = f"""
dataset "file" "d" {{
  path  = "d.csv"
  split = {SPLIT}
}}
dataset "file" "e" {{
  path  = "e.csv"
  split = {SPLIT}
}}
"""
TABLE: Mapping[str, Changed] = {
    "data": "dataset.e",
    "split": "null",
    "target": '"x"',
    "exclude": '["g", "id"]',
    "features": {"features": '["id", "y"]', "exclude": None},
    "seed": "1",
    "metrics": '["rmse"]',
    "leaks": '"off"',
    "cross_validation": "{ count = 2 }",
    **TOLD,
}
JOB = {"data": "dataset.d", "target": '"y"', "leaks": '"warn"'}
RIDGE = {"estimator": '"sklearn.linear_model.Ridge"'}
BOOSTED: Mapping[str, Changed] = {
    "params": "{ max_depth = 2 }",
    "rounds": "4",
    "progress_every": "2",
    "early_stopping": '{ rounds = 2, split = "holdout" }',
    "task": '"regression"',
    **{n: c for n, c in TABLE.items() if n != "split"},
    "split": {"split": "null", "early_stopping": "{ rounds = 2, share = 0.2 }"},
}
JUDGED = f"""
{DATA}
training_job "sklearn" "one" {{
  data      = dataset.d
  target    = "late"
  leaks     = "off"
  estimator = "sklearn.linear_model.LogisticRegression"
}}
training_job "sklearn" "two" {{
  data      = dataset.d
  target    = "late"
  leaks     = "off"
  features  = ["x"]
  estimator = "sklearn.linear_model.LogisticRegression"
}}
"""
URL = """
variable "u" {
  sensitive = true
  default   = "sqlite:///d.db"
}
"""
GATE = """
gate "evaluation" "g" {
  candidate = training_job.one.model
  data      = dataset.d
  require   = { roc_auc = { min = 0.1 } }
}
"""
CASES: dict[str, tuple[str, dict[str, str], Mapping[str, Changed]]] = {
    "dataset file": (
        'dataset "file" "it" {\nARGUMENTS\n}',
        {"path": '"d.csv"'},
        {
            **DATASET,
            "path": '"e.csv"',
            "format": '"csv"',
            "hive": {"hive": "true", "path": '"in/*/*.csv"'},
            **PINNED,
        },
    ),
    "dataset sql": (
        URL + 'dataset "sql" "it" {\nARGUMENTS\n}',
        {"url_env": '"WHERE"', "table": '"one"', "watermark": '"id"'},
        {
            **DATASET,
            "url_env": '"ELSEWHERE"',
            "url": {"url": "var.u", "url_env": None},
            "table": '"two"',
            "query": {"query": '"SELECT * FROM two"', "table": None},
            "watermark": '"x"',
            "partition": '"g"',
            "snapshot": {"snapshot": "\"SELECT 'a', 1\"", "watermark": None},
            **PINNED,
        },
    ),
    "dataset python": (
        'dataset "python" "it" {\nARGUMENTS\n}',
        {"function": '"tried_steps.py:rows"'},
        {
            **DATASET,
            "function": '"tried_steps.py:again"',
            "params": "{ more = 1 }",
            "include": '["note.txt"]',
            "token": '"tried_steps.py:token"',
            "by": '"partition"',
            **PINNED,
        },
    ),
    "feature_view python": (
        DATA + 'feature_view "python" "it" {\nARGUMENTS\n}',
        {"from": "dataset.d", "transform": '"tried_steps.py:build"'},
        {
            "from": "dataset.e",
            "transform": '"tried_steps.py:double"',
            "inputs": "{ other = dataset.d }",
            "columns": '["id", "x", "y"]',
            "input_columns": '{ other = ["id"] }',
            "by": '"partition"',
            "entities": '["id"]',
            "timestamp": '"x"',
            "features": '{ x = "int64" }',
            "include": '["note.txt"]',
            "params": "{ more = 1 }",
            "as_of": {
                "as_of": '{ other = { on = ["id"], time = "t" } }',
                "columns": '["id", "x", "y", "t"]',
                "input_columns": '{ other = ["id", "t"] }',
                "timestamp": '"t"',
            },
            "online": "{ rows = 9 }",
            **TOLD,
        },
    ),
    "feature_view sql": (
        DATA + 'feature_view "sql" "it" {\nARGUMENTS\n}',
        {"from": "dataset.d", "query": '"SELECT _row, x FROM d"'},
        {
            "query": '"SELECT _row, x, x + 1 AS more FROM d"',
            "columns": '["id", "x", "y", "t"]',
            "inputs": "{ other = dataset.e }",
            "input_columns": '{ other = ["id", "t", "y"] }',
            "timestamp": {"timestamp": '"t"', "query": '"SELECT _row, x, t FROM d"'},
            "as_of": '{ other = { on = ["id"], time = "t" } }',
            "by": '"partition"',
            "entities": '["x"]',
            "features": '{ x = "int64" }',
            "from": {"from": "dataset.e", "query": '"SELECT _row, x, t FROM e"'},
            "online": "{ rows = 9 }",
            **TOLD,
        },
    ),
    "training_job sklearn": (
        DATA + 'training_job "sklearn" "it" {\nARGUMENTS\n}',
        {**JOB, **RIDGE},
        {
            **TABLE,
            "estimator": '"sklearn.linear_model.Lasso"',
            "params": "{ alpha = 0.5 }",
            "encode": '"none"',
            "format": '"pickle"',
            "threads": "2",
            "pipeline": {
                "pipeline": '[{ estimator = "sklearn.linear_model.Ridge" }]',
                "estimator": None,
                "params": None,
            },
            "entry": {"entry": '"tried_steps.py:fit_rows"', "pipeline": None},
            "include": '["note.txt"]',
        },
    ),
    "training_job python": (
        DATA + 'training_job "python" "it" {\nARGUMENTS\n}',
        {**JOB, "entry": '"tried_steps.py:fit"', "exclude": '["g"]'},
        {
            **TABLE,
            "entry": '"tried_steps.py:fit_more"',
            "inputs": "{ other = dataset.d }",
            "include": '["note.txt"]',
            "params": "{ more = 1 }",
            "task": '"regression"',
            "format": '"pickle"',
        },
    ),
    "training_job xgboost": (
        DATA + 'training_job "xgboost" "it" {\nARGUMENTS\n}',
        {**JOB, "rounds": "3"},
        BOOSTED,
    ),
    "training_job lightgbm": (
        DATA + 'training_job "lightgbm" "it" {\nARGUMENTS\n}',
        {**JOB, "rounds": "3"},
        BOOSTED,
    ),
    "training_job tune": (
        DATA + 'training_job "tune" "it" {\nARGUMENTS\n}',
        {
            **JOB,
            "trainer": '"sklearn"',
            "job": '{ estimator = "sklearn.linear_model.Ridge" }',
            "search": "{ alpha = { values = [0.5, 1] } }",
            "metric": '"rmse"',
            "sampler": '"random"',
            "trials": "1",
            "folds": "{ count = 2 }",
        },
        {
            **{n: c for n, c in TABLE.items() if n != "cross_validation"},
            "job": '{ estimator = "sklearn.linear_model.Lasso" }',
            "search": "{ alpha = { values = [0.1, 0.2] } }",
            "metric": '"mae"',
            "folds": "{ count = 3 }",
            "trials": "2",
            "prune": "{ after = 1 }",
            "format": '"pickle"',
            "sampler": {"sampler": '"grid"', "trials": None, "prune": None},
            "trainer": {
                "trainer": '"xgboost"',
                "job": "{ rounds = 2 }",
                "search": "{ max_depth = { values = [1, 2] } }",
            },
            "entry": {
                "trainer": '"python"',
                "job": "{}",
                "search": "{ more = { values = [1, 2] } }",
                "entry": '"tried_steps.py:fit"',
            },
            "include": '["note.txt"]',
        },
    ),
    "gate evaluation": (
        JUDGED + 'gate "evaluation" "it" {\nARGUMENTS\n}',
        {
            "candidate": "training_job.one.model",
            "data": "dataset.d",
            "require": "{ roc_auc = { min = 0.1 } }",
        },
        {
            "require": "{ roc_auc = { min = 0.2 } }",
            "threshold": "0.4",
            "slices": '{ by = ["g"], min_support = 5, min = { accuracy = 0.1 } }',
            "fairness": (
                '{ attribute = "g", demographic_parity_ratio = { min = 0.1 }, min_support = 5 }'
            ),
            "group": '["g"]',
            "forecast": '{ time = "t", series = ["g"] }',
            "search": '{ columns = ["g"], min_support = 30 }',
            "robustness": "{ noise = 0.1, max_loss = { accuracy = 1 } }",
            "costs": "{ size_mb = 100 }",
            "held_out": "{ uses = 9 }",
            "on_fail": '"warn"',
            "baseline": "training_job.two.model",
            "allow_pickle": "true",
            "waive": (
                '[{ metric = "roc_auc", by = "anna", why = "a trial", until = "2999-01-01" }]'
            ),
            "candidate": "training_job.two.model",
            "data": "dataset.e",
            "split": '"train"',
            **TOLD,
        },
    ),
    "gate data": (
        DATA + 'gate "data" "it" {\nARGUMENTS\n}',
        {"data": "dataset.d", "expect": "{ rows_min = 2 }"},
        {
            "expect": "{ rows_min = 3 }",
            "on_fail": '"warn"',
            "data": "dataset.e",
            **TOLD,
        },
    ),
    "gate python": (
        JUDGED + 'gate "python" "it" {\nARGUMENTS\n}',
        {
            "check": '"tried_steps.py:counted"',
            "data": "dataset.d",
            "require": "{ rows = { min = 1 } }",
        },
        {
            "require": "{ rows = { min = 2 } }",
            "columns": '["x", "y"]',
            "params": "{ more = 1 }",
            "on_fail": '"warn"',
            "include": '["note.txt"]',
            "data": "dataset.e",
            "split": '"train"',
            "check": '"tried_steps.py:counted_again"',
            "candidate": {
                "candidate": "training_job.one.model",
                "check": '"tried_steps.py:counted_by"',
            },
            "allow_pickle": "true",
            **TOLD,
        },
    ),
    "model registry": (
        JUDGED + GATE + 'model "registry" "it" {\nARGUMENTS\n}',
        {"candidate": "training_job.one.model"},
        {
            "champion": "{ require = [gate.g] }",
            "channels": '{ sealed = { from = "champion", promote = "manual" } }',
            "keep": "2",
            "candidate": {"candidate": "training_job.two.model", "champion": None},
            **TOLD,
        },
    ),
}
REAL = {
    "dataset object": "a bucket: see `test_object.py`",
}
"""Types whose changes need a real thing: not tried here."""


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_planned_as_its_class_says_and_leaves_nothing_to_do(
    folder: Path, case: str
) -> None:
    spec, arguments, changes = CASES[case]
    kind, _, _type = case.partition(" ")
    planned = check_changes(folder, spec, f"{kind}.it", arguments, changes)
    assert planned.keys() == changes.keys()


def test_so_it_is_of_what_serves_and_watches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One folder, so that what is served is trained once, and two servers do for every monitor."""
    monkeypatch.setenv("TOKENS", "another-token-of-some-length")
    try:
        spec = JUDGED + VIEWED + SECRET + 'deployment "http" "it" {\nARGUMENTS\n}'
        with socket.create_server(("127.0.0.1", 0)) as free:
            changes = {"port": str(free.getsockname()[1]), **DEPLOYMENT}
        given = {"model": "training_job.one.model"}
        check_changes(folder, spec, "deployment.it", given, changes)
        for case, (block, arguments, of) in SERVED.items():
            kind = case.partition(" ")[0]
            served = JUDGED + GATE + SERVERS + block
            assert check_changes(folder, served, f"{kind}.it", arguments, of).keys() == of.keys()
    finally:
        (folder / "main.mlf.hcl").write_text("")
        gone = apply(Session(folder), lambda _plan: True, lambda _event: None).outcome
        assert gone is not None
        assert gone.complete


def test_every_argument_of_every_type_is_tried() -> None:
    tried = {name: changes for name, (_, _, changes) in {**CASES, **SERVED}.items()}
    tried["deployment http"] = {**DEPLOYMENT, "port": "0"}
    left = {}
    for offer in Registry().offers():
        it = offer.resource
        name = f"{it.kind} {it.type}"
        changes = tried.get(name)
        if changes is None:
            assert name in REAL, name
            continue
        if missing := aliased_classes(it).keys() - changes.keys():
            left[name] = missing
    assert left == {"training_job tune": {"cross_validation"}}, "a sweep takes none"

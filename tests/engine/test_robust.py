"""Whatever a spec says, it is planned or refused: never a traceback."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from tests.engine.world import TARGET

from mlform.commands.checking import check
from mlform.commands.session import Session
from mlform.config import Given, Sources
from mlform.diagnostics import DiagnosedError, Diagnostics
from mlform.registry import Registry
from mlform.state.model import Snapshot

HERE = Path(__file__).parent
WORD = re.compile(r'\w+|"[^"\n]*"')
ODD = ("null", "[]", "{}", "-1", "1e400", '""', "each.value", "self.parity", "sensitive(1)")
ODD += ("training_job.a", "module.m", "local.x", "var.n", "prior.training_job.a.parity")


def specs() -> list[str]:
    found = [p.read_text("utf-8") for p in sorted((HERE / "golden").rglob("*.mlf.hcl"))]
    for page in ("test_blocks.py", "test_modules.py", "test_deferred.py"):
        found += re.findall(r'spec = """\n(.*?)"""', (HERE / page).read_text("utf-8"), re.DOTALL)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_specs_with_words_exchanged(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - nothing secret is made
    known = specs()
    words = [word for spec in known for word in WORD.findall(spec)] + list(ODD) * 40
    inner = re.search(r'INNER = """\n(.*?)"""', (HERE / "test_modules.py").read_text(), re.DOTALL)
    assert inner is not None
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "main.mlf.hcl").write_text(inner[1])
    for _ in range(250):
        spec = chance.choice(known)
        for _ in range(chance.randint(1, 4)):
            place = chance.choice([m.span() for m in WORD.finditer(spec)])
            spec = spec[: place[0]] + chance.choice(words) + spec[place[1] :]
        session = Session(tmp_path, Given((), {}), Registry({"toy": TARGET}), Diagnostics())
        session.__dict__["sources"] = Sources(tmp_path, {"main.mlf.hcl": spec}, {})
        try:
            check(*session.configured, session.diagnostics)
            session.diagnostics.stop_on_errors()
            session.plan(Snapshot("", 0, {}))
        except DiagnosedError:
            continue
        except Exception as error:
            raise AssertionError(spec) from error

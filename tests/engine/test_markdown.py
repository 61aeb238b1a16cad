"""A plan for a pull request: short enough to post, its words no markup, its worst in sight."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.engine.test_page import PLAN, step

from mlform.plan import Action, Note, Plan, Reason
from mlform.render.markdown import LIMIT, plan


def many(count: int) -> Plan:
    """Return a plan of so many steps of each of three actions."""
    run = [
        step(
            f"n{n}",
            Action.RUN,
            reasons=(Reason("new"),),
            arguments={"value": n, "note": "x" * 60},
            at={"value": "main.mlf.hcl:3:11", "note": "main.mlf.hcl:4:11"},
        )
        for n in range(count)
    ]
    maybe = [
        step(f"m{n}", Action.MAYBE, reasons=(Reason("upstream", f"training_job.n{n}"),))
        for n in range(count)
    ]
    gone = [step(f"g{n}", Action.DESTROY, reasons=(Reason("removed"),)) for n in range(3)]
    return replace(PLAN, steps=(*run, *maybe, *gone))


def test_a_small_plan_is_one_table_with_times() -> None:
    text = plan(PLAN)
    assert "### Plan: 1 run, 1 run?, 1 forget; 2 unchanged" in text
    assert "Time: 12.0 s … 21.0 s (likely 12.2 s)." in text
    assert (
        "| `training_job.a` | run | value: 1 → 2   (main.mlf.hcl:3:11) | 12.0 s … 19.0 s |" in text
    )
    assert text.count("|---|---|---|---|") == 1
    assert "`training_job.x` is `training_job.a` now" in text


def test_steps_of_a_large_plan_are_folded_but_not_what_is_taken_down() -> None:
    text = plan(many(40))
    folded = re.findall(r"<details><summary>(.*?)</summary>", text)
    assert folded == ["40 run", "40 run?", "Arguments"]
    assert text.index("**3 destroy**") < text.index("<details>")


@pytest.mark.parametrize("count", [100, 400, 5000])
def test_it_is_never_too_long_to_post(count: int) -> None:
    text = plan(many(count))
    assert len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>")
    assert text.count("\n```") % 2 == 0
    assert ("more lines: see `mlform show -html`" in text) == (count > 100)
    assert "| `training_job.g2` | destroy |" in text
    assert text.rstrip().endswith("</sub>")


def test_words_of_a_plan_are_no_markup_and_call_nobody() -> None:
    reason = Reason("argument", "note", "a|b", "<b>*x*</b> [y](z) @someone `c`")
    text = plan(replace(PLAN, steps=(step("a", Action.RUN, reasons=(reason,)),), notes=()))
    [row] = [line for line in text.splitlines() if line.startswith("| `training_job.a`")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert "<b>" not in text
    assert "@someone" not in text
    assert r"\*x\*" in row
    assert r"\[y\](z)" in row
    noted = plan(replace(PLAN, notes=(Note("w", "dataset.d", "<img src=x>"),)))
    assert "<img" not in noted

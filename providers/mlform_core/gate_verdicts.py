"""What gates share that are not about a comparison of models: their verdict and its page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, Literal, TypeAlias

from mlform.sdk import Artifact, Attributes, Context, Volatile
from mlform_core.pictures import page, table

EVIDENCE: Final = "application/vnd.mlform.evidence+json"
NO_IMPORT: Final = "a verdict is measured here, and one that was not would be a claim"
OnFail: TypeAlias = Literal["block", "warn"]


def forgotten(ctx: Context) -> str:
    """Say what is left of a verdict that goes."""
    return "" if ctx.purge else "the evidence is kept in the artifact store"


class Verdict(Attributes):
    """Whether what was looked at may be used. Consumers act on ``passed`` alone."""

    passed: bool
    summary: Volatile[str]
    evidence: Volatile[Artifact]
    """All that was found, as a JSON document."""
    page: Volatile[Artifact]
    """The same to look at, as a web page: ``mlform report`` writes it out."""


def told(broken: Sequence[str], on_fail: OnFail, checks: int) -> tuple[bool, str]:
    """Return whether a gate passes, and what it says in a sentence."""
    if broken and on_fail == "block":
        return False, "failed: " + "; ".join(broken)
    if broken:
        return True, "passed with warnings: " + "; ".join(broken)
    return True, f"passed {checks} check{'' if checks == 1 else 's'}"


def kept(
    ctx: Context, evidence: Mapping[str, Any], *, passed: bool, summary: str
) -> dict[str, Any]:
    """Keep what a verdict rests on; return its attributes."""
    data = json.dumps(evidence, sort_keys=True, indent=1, allow_nan=False, default=str).encode()
    return {
        "passed": passed,
        "summary": summary,
        "evidence": ctx.artifacts.put_bytes(data, EVIDENCE),
        "page": ctx.artifacts.put_bytes(
            _page(ctx.address, evidence, passed=passed, summary=summary).encode(), "text/html"
        ),
    }


def _page(address: str, evidence: Mapping[str, Any], *, passed: bool, summary: str) -> str:
    verdict = "passed" if passed else "failed"
    body = [
        f"<h1>{escape(address)}: <span class={'pass' if passed else 'fail'}>{verdict}</span></h1>",
        f"<p>{escape(summary)}</p>",
    ]
    for name, found in evidence.items():
        if isinstance(found, Mapping) and found:
            body.append(f"<h2>{escape(name)}</h2>")
            rows = [[escape(str(k)), escape(_shown(v))] for k, v in found.items()]
            body.append(table(["", ""], rows))
    return page(f"{address}: {verdict}", body)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_shown(v)}" for k, v in value.items() if v is not None)
    return str(value)

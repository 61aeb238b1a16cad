"""Compare our reader and our layout with ``terraform fmt`` on random texts; needs terraform.

    python -m tests.syntax.compare [COUNT] [SEED]      report, COUNT texts of each kind
    python -m tests.syntax.compare --store             write the sample that test_found.py reads

One terraform process lays out a folder of files, and another says where the errors in it are.
"""

from __future__ import annotations

import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.syntax.generator import Maker

from mlform.diagnostics import Diagnostics
from mlform.syntax import layout, parse

FOUND = Path(__file__).parent / "found.json"
KINDS = ("sober", "valid", "sober mutated", "mutated")
_BATCH = 1000
_ERROR = re.compile(r"Error: ([^\n]*)\n\s+on f(\d+)\.tf line")


@dataclass
class Verdict:
    """What one side says of a text: how it lays it out, or where its first error is and what."""

    layout: str | None
    at: tuple[int, int] | None = None
    summary: str = ""


def made(kind: str, seed: int) -> str:
    """Return the text of a kind and a seed."""
    maker = Maker(seed + 10**6 * KINDS.index(kind), sober="sober" in kind)
    return maker.mutated() if "mutated" in kind else maker.spec()


def ours(text: str) -> Verdict:
    """Return our verdict."""
    diagnostics = Diagnostics()
    parse(text, "spec.hcl", diagnostics)
    places = [((x.subject.line, x.subject.column), x.summary) for x in diagnostics if x.subject]
    if places:
        return Verdict(None, *min(places))
    return Verdict(layout(text, "spec.hcl", Diagnostics()))


def terraforms(texts: Mapping[int, str]) -> dict[int, Verdict]:
    """Return Terraform's verdict on each text."""
    with tempfile.TemporaryDirectory() as folder:
        for number, text in texts.items():
            Path(folder, f"f{number}.tf").write_bytes(text.encode())
        # What `fmt` finds wrong is the syntax; `validate` finds more, and says the places of all.
        wrong = set(_ERROR.findall(_told(folder, "fmt", "-no-color", ".").stderr))
        found: dict[int, Verdict] = {}
        for one in json.loads(_told(folder, "validate", "-json").stdout)["diagnostics"]:
            number, title = one["range"]["filename"][1:-3], one["summary"]
            if (title, number) not in wrong:
                continue
            at = (one["range"]["start"]["line"], one["range"]["start"]["column"])
            before = found.setdefault(int(number), Verdict(None, at, title))
            if before.at is not None and at < before.at:
                found[int(number)] = Verdict(None, at, title)
        assert found.keys() == {int(number) for _, number in wrong}
        for number in texts.keys() - found.keys():
            found[number] = Verdict(Path(folder, f"f{number}.tf").read_bytes().decode())
    return found


def _told(folder: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["terraform", *command],
        cwd=folder,
        env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def judged(our: Verdict, their: Verdict) -> str:
    """Return in a few words how two verdicts on a text differ."""
    if (our.layout is None) != (their.layout is None):
        return "one accepts it"
    if our.layout is not None and their.layout is not None:
        # Our layout ends every file with a line break, as `terraform fmt -` does on a pipe.
        same = our.layout.rstrip() == their.layout.rstrip()
        return "same layout" if same else "another layout"
    if our.at == their.at:
        return "same position"
    return "same line" if our.at and their.at and our.at[0] == their.at[0] else "another line"


def compared(kind: str, count: int, seed: int) -> Iterator[tuple[str, Verdict, Verdict]]:
    """Yield texts with both verdicts."""
    for first in range(seed, seed + count, _BATCH):
        texts = {n: made(kind, n) for n in range(first, min(first + _BATCH, seed + count))}
        theirs = terraforms(texts)
        for number, text in texts.items():
            yield text, ours(text), theirs[number]


def report(count: int, seed: int) -> None:
    """Print how often verdicts agree, and the texts on which only one side accepts."""
    for kind in KINDS:
        counts: collections.Counter[str] = collections.Counter()
        for text, our, their in compared(kind, count, seed):
            how = judged(our, their)
            counts[how] += 1
            if how == "one accepts it":
                show(repr(text), our, their)
        show(f"{kind}: {dict(counts)}")


def store() -> None:
    """Write the shortest texts of every way in which verdicts agree or differ."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = collections.defaultdict(list)
    for kind in KINDS:
        for text, our, their in compared(kind, 3000, 0):
            how = judged(our, their)
            case: dict[str, Any] = {"verdict": how, "text": text}
            if our.layout is not None:
                case |= {"layout": our.layout}
                if how == "another layout":
                    case["terraform"] = their.layout
            else:
                case |= {"at": our.at, "summary": our.summary}
                if our.at != their.at:
                    case["terraform"] = [*(their.at or ()), their.summary]
            if text.strip("\ufeff \n") and len(text) < 400:
                groups[kind, how, our.summary, their.summary].append(case)
    sample: dict[str, dict[str, Any]] = {}
    for (kind, how, *_), cases in groups.items():
        most = {"same layout": 60, "another layout": 12}.get(how, 1)
        shortest = sorted(cases, key=lambda case: len(case["text"]))
        step = max(1, len(shortest) // 3 // most) if how == "same layout" else 1
        for case in shortest[::step][:most]:
            sample[case["text"]] = {"kind": kind, **case}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in sample.values())
    FOUND.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    show(f"{len(sample)} cases, {FOUND.stat().st_size // 1000} kB")


def show(*lines: object) -> None:
    """Write lines for whoever runs this."""
    sys.stdout.write("\n  ".join(map(str, lines)) + "\n")


def main() -> None:
    """Do what the command line asks for."""
    if sys.argv[1:] == ["--store"]:
        store()
    else:
        count, seed = (*map(int, sys.argv[1:]), *(1000, 0)[len(sys.argv) - 1 :])
        report(count, seed)


if __name__ == "__main__":
    main()

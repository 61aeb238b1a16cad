"""Compare our reader and our layout with ``terraform fmt`` on random texts; needs terraform.

    python -m tests.syntax.compare [COUNT] [SEED]      report, COUNT texts of each kind
    python -m tests.syntax.compare --store             write the sample that test_found.py reads

One terraform process lays out a folder of files, and another says where the errors in it are.
What differs on purpose is told apart by the reason it has (docs/language.md); "open" is the rest.
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
from tests.syntax.trees import bare, body

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse
from mlform.syntax.columns import columns
from mlform.syntax.layout import layout

FOUND = Path(__file__).parent / "found.json"
KINDS = ("sober", "valid", "sober mutated", "mutated")
_BATCH = 1000
_ERROR = re.compile(r"Error: ([^\n]*)\n\s+on f(\d+)\.tf line")


@dataclass
class Verdict:
    """What one side says of a text: how it lays it out, or where its first error is and what.

    ``others`` are the places of the errors after the first.
    """

    layout: str | None
    at: tuple[int, int] = (0, 0)
    summary: str = ""
    others: frozenset[tuple[int, int]] = frozenset()


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
        return Verdict(None, *min(places, key=lambda place: place[0]))
    return Verdict(layout(text, "spec.hcl", Diagnostics()))


def terraforms(texts: Mapping[int, str]) -> dict[int, Verdict]:
    """Return Terraform's verdict on each text."""
    with tempfile.TemporaryDirectory() as folder:
        for number, text in texts.items():
            Path(folder, f"f{number}.tf").write_bytes(text.encode())
        # What `fmt` finds wrong is the syntax; `validate` finds more, and says the places of all.
        wrong = set(_ERROR.findall(_told(folder, "fmt", "-no-color", ".").stderr))
        told: dict[int, list[tuple[tuple[int, int], str]]] = collections.defaultdict(list)
        for one in json.loads(_told(folder, "validate", "-json").stdout)["diagnostics"]:
            number, title = one["range"]["filename"][1:-3], one["summary"]
            if (title, number) in wrong:
                start = one["range"]["start"]
                at = _counted(texts[int(number)], start["line"], start["column"])
                told[int(number)].append((at, title))
        found: dict[int, Verdict] = {}
        for key, places in told.items():
            at, title = min(places, key=lambda place: place[0])
            found[key] = Verdict(None, at, title, frozenset(at for at, _ in places))
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


def _counted(text: str, line: int, column: int) -> tuple[int, int]:
    """Return a place as we count it: HCL's columns are what people see as characters."""
    lines = text.removeprefix("\ufeff").split("\n")
    written = lines[line - 1] if line <= len(lines) else ""
    if written.isascii():
        return line, column
    ends = (n for n in range(len(written) + 1) if columns(written[:n]) >= column - 1)
    at = next(ends, len(written))
    while at < len(written) and columns(written[: at + 1]) == column - 1:
        at += 1
    return line, at + 1


def judged(text: str, our: Verdict, their: Verdict) -> str:
    """Return in a few words how two verdicts on a text differ."""
    if (our.layout is None) != (their.layout is None):
        return "one accepts it"
    if our.layout is not None and their.layout is not None:
        # Our layout ends every file with a line break, as `terraform fmt -` does on a pipe.
        same = our.layout.rstrip() == their.layout.rstrip()
        return "same layout" if same else _layouts(our.layout, their.layout)
    if our.at == their.at:
        return "same place"
    return _places(text, our, their)


_SPACES = re.compile(r" +")
_WRAP = re.compile(r'"\$\{~?|~?\}"|[()\s]')
_SIGNS = re.compile("[$%]")


def _kept(node: object) -> object:
    """Return of a tree what Terraform keeps of it: no labels with signs of a sequence in them."""
    match node:
        case ("Block", str() as kind, tuple() as labels, inner):
            plain = tuple(label for label in labels if label in "$%" or not _SIGNS.search(label))
            return kind, plain, _kept(inner)
        case ("Body", attributes, tuple() as blocks):
            return attributes, tuple(map(_kept, blocks))
        case _:
            return node


def _layouts(our: str, their: str) -> str:
    """Return why two layouts differ."""
    problems = Diagnostics()
    again = layout(their, "spec.hcl", problems)
    if problems.errors:
        return "layout: Terraform's is no sound text"
    if again.rstrip() == our.rstrip() or _WRAP.sub("", again) == _WRAP.sub("", our):
        return "layout: Terraform takes a second run"
    trees = [_kept(bare(body(text))) for text in (our, their, again)]
    # It puts others beside the comment that it loses, too.
    stable = _SPACES.sub(" ", again.rstrip()) == _SPACES.sub(" ", their.rstrip())
    if stable and trees[0] == trees[1]:
        return "layout: Terraform loses labels or comments"
    if trees[0] == trees[2]:
        return "layout: Terraform loses labels or comments, and takes a second run"
    return "layout: open"


_NEVER_CLOSED = {
    "Unclosed heredoc",
    "Unclosed string",
    "Unclosed bracket",
    "Unclosed comment",
    "Unclosed template sequence",
    "Incomplete conditional",
}
_TAKEN_APART = re.compile(r"\*\*|<<|\?\?|\+\+")
_FOLLOWS = re.compile("Unexpected .* directive|Unclosed configuration block|Invalid 'for'")


def _places(text: str, our: Verdict, their: Verdict) -> str:
    """Return why two first errors stand at different places."""
    line = text.removeprefix("\ufeff").split("\n")[our.at[0] - 1][our.at[1] - 1 :]
    ends = our.summary in _NEVER_CLOSED and any(at > our.at for at in their.others)
    if our.at in their.others or (ends and their.at < our.at):
        return "place: Terraform tells of another before"
    begins = our.at < their.at or their.summary.startswith("Un")
    directive = our.summary == "Invalid template directive" and (
        "end of template" in their.summary or their.summary.startswith("Unclosed")
    )
    if (our.summary in _NEVER_CLOSED or directive) and begins:
        return "place: where it begins that is never closed"
    if our.summary in {"Unclosed comment", "Invalid character"}:
        return "place: the character itself, not the item"
    if _TAKEN_APART.match(line) and their.at == (our.at[0], our.at[1] + 1):
        return "place: the operator of other languages, whole"
    if "index" in their.summary or "attribute name" in their.summary or line.startswith("*"):
        return "place: what does not fit in the index or splat"
    if our.summary == "Invalid for expression" and our.at < their.at:
        return "place: the first of two mistakes in a for"
    if _FOLLOWS.match(their.summary):
        return "place: Terraform tells of what follows from it"
    return "place: open"


def compared(kind: str, count: int, seed: int) -> Iterator[tuple[str, Verdict, Verdict]]:
    """Yield texts with both verdicts."""
    for first in range(seed, seed + count, _BATCH):
        texts = {n: made(kind, n) for n in range(first, min(first + _BATCH, seed + count))}
        theirs = terraforms(texts)
        for number, text in texts.items():
            yield text, ours(text), theirs[number]


def report(count: int, seed: int) -> None:
    """Print how often verdicts agree, and the texts on which they differ for no known reason."""
    for kind in KINDS:
        counts: collections.Counter[str] = collections.Counter()
        for text, our, their in compared(kind, count, seed):
            how = judged(text, our, their)
            counts[how] += 1
            if how == "one accepts it" or how.endswith("open"):
                show(repr(text), our, their)
        show(kind, *(f"{number:6}  {how}" for how, number in counts.most_common()))


def store() -> None:
    """Write the shortest texts of every way in which verdicts agree or differ."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = collections.defaultdict(list)
    for kind in KINDS:
        for text, our, their in compared(kind, 3000, 0):
            how = judged(text, our, their)
            case: dict[str, Any] = {"verdict": how, "text": text}
            if our.layout is not None:
                case |= {"layout": our.layout}
                if how != "same layout":
                    case["terraform"] = their.layout
            else:
                case |= {"at": our.at, "summary": our.summary}
                if our.at != their.at:
                    case["terraform"] = [*their.at, their.summary]
            if text.strip("\ufeff \n") and len(text) < 400:
                groups[kind, how, our.summary, their.summary].append(case)
    sample: dict[str, dict[str, Any]] = {}
    for (kind, how, *_), cases in groups.items():
        most = 60 if how == "same layout" else 12 if how.startswith("layout") else 1
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

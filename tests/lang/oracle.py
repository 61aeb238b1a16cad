"""Random expressions, ours against Terraform's: `python -m tests.lang.oracle --count 10000`.

A tool for development: it asks a `terraform` on the PATH. What both agree on can be kept as a
sample (`--keep FILE`), so that the tests need none. With `--texts FILE` the expressions are its
lines; lines of a sample will do.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from tests.lang.sampling import VARIABLES, Sampler

from mlform.diagnostics import Diagnostic, Diagnostics, Severity
from mlform.lang import convert, evaluate, operators, parse_type
from mlform.lang.evaluator import HIDDEN, Bound, Evaluator
from mlform.lang.marks import mark
from mlform.lang.registry import LIVE
from mlform.lang.worth import check_names
from mlform.render.console import console, console_type
from mlform.syntax import parse_expression
from mlform.syntax.tree import Binary
from mlform.values import UNKNOWN, Sensitive, Unknown, Value

TEMPLATES = {
    "template": "a ${a} b",
    "t_for": "%{ for k, x in a }${k}=${x},%{ endfor }${b}",
    "t_if": "%{ if a ~}\n x %{ else ~} ${b} y%{ endif ~}\n z",
    "t_call": "${upper(a)}-${b + 1}",
    "t_more": "${join(b, [for k, v in a : k if v > 1])}$${a}%%{ a }",
    "t_whole": "${a}",
    "t_bad": "${a",
}
DATA = Path(__file__).parent / "data"
SETTING = (
    """\
resource "terraform_data" "x" {}
locals {
  unknown  = terraform_data.x.id
"""
    + "".join(
        f"  {name} = {json.dumps(text).replace('${', '$${').replace('%{', '%%{')}\n"
        for name, text in TEMPLATES.items()
    )
    + "}\n"
    + "".join(
        f'variable "{name}" {{\n  type = {type_}\n  default = {value}\n'
        f"  sensitive = {str(name == 'secret').lower()}\n}}\n"
        for name, (type_, value) in VARIABLES.items()
    )
)


def _variable(name: str) -> Value:
    diagnostics = Diagnostics()
    written, value = (parse_expression(t, "test.hcl", diagnostics) for t in VARIABLES[name])
    type_ = parse_type(*written, diagnostics)
    assert type_ is not None
    found = convert(evaluate(value[0], {}, diagnostics, value[1]), type_)
    assert not diagnostics.errors
    return Sensitive(found) if name == "secret" else found


SCOPE: dict[str, Value] = {
    "local": {**TEMPLATES, "unknown": UNKNOWN},
    "path": {"cwd": str(DATA), "root": "."},
    "var": {name: _variable(name) for name in VARIABLES},
    LIVE: True,
}
LONGEST_KEPT = 300
_ARITHMETIC = ("Invalid operation", "Error in function call")
_WARNING = "Warning: Due to the problems above"
_BETWEEN = "{zz = 1}"
_TEXT_BREAK = re.compile(r'^  \{\n    "zz" = 1\n  \},\n', re.MULTILINE)
# What we refuse on purpose: infinity, numbers of more digits than are kept, networks that are none,
# which Terraform gives for numbers that are too small, offsets of a whole day.
# See docs/language.md.
_REFUSED = re.compile(
    "nothing divides by it|the result is too large|no finite number|has no logarithm"
    "|the number is too large|has room for .* more, not -"
    "|to the power of .* is no number|an offset is at most 23:59"
)
# Of an argument that was converted to the type it should have: cty makes a list of a set whose size
# is open, and gives it the type of the set's elements. Ours is an unknown list of the right type.
_MISTYPED = re.compile(
    r"(parameter|expected return type [\w.()]+): [\w ]+ required, but received [\w ]+[ .]"
)
# Terraform finds no room in a network that begins at the address 0, and counts hosts of an IPv4
# network that is written as IPv6 in its first bits.
_NETWORK = re.compile(r'cidr(host|subnets?)\("::ffff:|cidrsubnets\("[0-9.:]+/0"')
# Terraform says that no key is in a set of which one element is not known yet, and is wrong then.
_SEARCHED = re.compile(r"matchkeys\(.*\bunknown\b")
# Behind an unknown element of one list, it takes an element of another list once more.
_PAIRED = re.compile(r"formatlist\(.*\bunknown\b")
# What these make of something secret and something not known yet stays secret here.
_KEPT = re.compile(
    r"(try|concat|setproduct|zipmap|coalesce|coalescelist|merge|jsondecode|yamldecode)\((?=.*\bunknown\b)(?=.*(var\.secret|sensitive\())"
)
# That there is no such template Terraform says once the variables are known.
_NO_TEMPLATE = re.compile(r"templatestring\(.*\bunknown\b")
# Tuples and objects that become alike first, and then a list or map of which all are: the second
# step is forgotten by Terraform if the first one left nothing to convert.
_TWICE = re.compile("result value has the wrong type: (element|attribute) types must all match")
# What they begin or end with, or hash to, is chance.
_CHANCE = re.compile(r"\b(uuid\(\)|bcrypt\()")
_TRIES = 12
# It says so where the machine is slow.
_BUSY = re.compile("^(Acquiring|Releasing) state lock.*\n", re.MULTILINE)
_TYPE_BREAK = re.compile(r"^    object\(\{\n        zz: number,\n    \}\),\n", re.MULTILINE)


class Answer(NamedTuple):
    """What the console prints for a list of one value, and its type; ``None`` for an error."""

    text: str | None
    type: str | None


ERROR = Answer(None, None)


class Heard(Diagnostics):
    """Problems, with those that an expression gets over: in `can`, in a branch not taken."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Diagnostic] = []

    @contextmanager
    def everything(self) -> Iterator[None]:
        """Hear of every problem that is noted anywhere."""
        noted = Diagnostics.error

        def error(it: Diagnostics, summary: str, detail: str, *rest: Any, **more: Any) -> None:
            self.all.append(Diagnostic(Severity.ERROR, summary, detail))
            noted(it, summary, detail, *rest, **more)

        with mock.patch.object(Diagnostics, "error", error):
            yield


def ours(text: str, diagnostics: Diagnostics | None = None) -> Answer:
    """Return our answer."""
    diagnostics = Diagnostics() if diagnostics is None else diagnostics
    expr, source = parse_expression(text, "test.hcl", diagnostics)
    if diagnostics.errors:
        return ERROR
    value = evaluate(expr, SCOPE, diagnostics, source)
    check_names(expr, source, SCOPE, diagnostics)
    if diagnostics.errors:
        return ERROR
    return Answer(console([value]), console_type([value]))


def _strictly(text: str) -> Answer:
    """Return our answer if `&&` and `||` always looked at both sides, as before Terraform 1.12."""
    logic = operators._logic

    def both(ev: Evaluator, expr: Binary, bound: Bound) -> Value:
        sides = (expr.left, expr.right)
        values, marks = zip(
            *(operators._side(ev, side, expr.op, ev.value(side, bound)) for side in sides),
            strict=True,
        )
        if any(isinstance(value, Unknown) for value in values):
            return mark(operators.OPEN_BOOL, marked=any(marks))
        return logic(ev, expr, bound)

    with mock.patch.object(operators, "_logic", both):
        return ours(text)


class Terraform:
    """A folder in which `terraform console` can answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "main.tf").write_text(SETTING, encoding="utf-8")
        shutil.copytree(DATA / "files", folder / "files")
        self.environment = os.environ | {"TF_CLI_CONFIG_FILE": "/dev/null", "HOME": str(folder)}
        self._run("init")

    def _run(self, command: str, given: str = "") -> str | None:
        done = self._done(command, given)
        return _BUSY.sub("", done.stdout.decode()) if done.returncode == 0 else None

    def _done(self, command: str, given: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["terraform", command, "-no-color"],
            cwd=self.folder,
            env=self.environment,
            input=given.encode(),
            capture_output=True,
        )

    def excuse(self, text: str, mine: Answer, theirs: Answer) -> str:
        """Return what makes Terraform answer otherwise: its own fault, or chance; or nothing."""
        if _CHANCE.search(text) and mine.type == theirs.type:
            return "chance"
        if any(self.answers([text]) == [mine] for _ in range(_TRIES)):
            # It compares attributes of objects and elements of maps in random order, and says
            # "unknown" if it comes by an unknown one before one that differs.
            return "unsteady"
        if _NO_TEMPLATE.search(text) and mine == ERROR and "after apply" in (theirs.text or ""):
            return "no template"
        if ("&&" in text or "||" in text) and _strictly(text) == theirs:
            return "right side"
        if _NETWORK.search(text):
            return "network"
        if _PAIRED.search(text):
            return "paired"
        if _SEARCHED.search(text):
            return "searched"
        if _KEPT.search(text) and mine.text and ("(sensitive" in mine.text or "true" in mine.text):
            return "kept secret"
        self._ask(text)
        told = self._done("console", "local.asked\n").stderr.decode()
        told = " ".join(told.split())
        if _TWICE.search(told):
            return "twice"
        return "mistyped" if _MISTYPED.search(told) else ""

    def answers(self, texts: Sequence[str]) -> list[Answer]:
        """Return Terraform's answers; a text that it cannot take at all is an error."""
        found = self._answers(texts)
        if found is not None:
            return found
        if len(texts) == 1:
            return [ERROR]
        half = len(texts) // 2
        return [*self.answers(texts[:half]), *self.answers(texts[half:])]

    def _ask(self, items: str) -> str | None:
        # In a file, as the console reads no heredocs.
        (self.folder / "asked.tf").write_text(f"locals {{\n  asked = [{items}]\n}}\n")
        told = self._run("console", "local.asked\n")
        return None if told is None or _WARNING in told else told

    def _answers(self, texts: Sequence[str]) -> list[Answer] | None:
        able = self._ask("".join(f"nonsensitive(can({t})), " for t in texts))
        if able is None:
            return None
        sound = [line.strip() != "false," for line in able.split("\n")[1:-2]]
        assert len(sound) == len(texts), (able, texts)
        shown = self._ask(
            "".join(f"{t}, {_BETWEEN}, " for t, s in zip(texts, sound, strict=True) if s)
        )
        types = self._run("console", "type(local.asked)\n")
        if shown is None or types is None:
            return None
        pieces = _TEXT_BREAK.split(shown.removeprefix("[\n"))
        kinds = _TYPE_BREAK.split(types.removeprefix("tuple([\n"))
        pairs = iter(zip(pieces, kinds, strict=True))
        return [_answer(*next(pairs)) if s else ERROR for s in sound]


def _answer(piece: str, kind: str) -> Answer:
    return Answer(f"[\n{piece}]", f"tuple([\n{kind}])")


def _meant(problems: Heard) -> bool:
    """Tell whether an answer of ours is, or rests on, an error that is meant to be one."""
    # Of sensitive numbers the detail says nothing.
    return any(
        _REFUSED.search(problem.detail or "")
        or (problem.summary in _ARITHMETIC and problem.detail.startswith(HIDDEN))
        for problem in problems.all
    )


def batches(seed: int, count: int, size: int = 60) -> Iterator[list[str]]:
    """Yield random texts in lots."""
    sampler = Sampler(seed)
    seen: set[str] = set()
    while count > 0:
        lot: list[str] = []
        while len(lot) < min(size, count):
            text = sampler.expression()
            if text not in seen and len(text) < 400:
                seen.add(text)
                lot.append(text)
        count -= len(lot)
        yield lot


def chosen(file: Path, size: int = 60) -> Iterator[list[str]]:
    """Yield the texts of a file, or of a sample, in lots."""
    lines = file.read_text(encoding="utf-8").splitlines()
    texts = [json.loads(n)[0] if file.suffix == ".jsonl" else n for n in lines]
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def main() -> None:
    """Compare, and say where the answers differ."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--texts", type=Path)
    given = parser.parse_args()
    kept: list[list[str]] = []
    count = differ = errors = refused = 0
    excused: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        terraform = Terraform(Path(folder))
        lots = chosen(given.texts) if given.texts else batches(given.seed, given.count)
        for lot in lots:
            count += len(lot)
            for text, theirs in zip(lot, terraform.answers(lot), strict=True):
                problems = Heard()
                with problems.everything():
                    mine = ours(text, problems)
                errors += theirs == ERROR
                if mine != theirs and _meant(problems):
                    refused += 1
                    continue
                if mine == theirs:
                    kept.append([text, *(part for part in mine if part is not None)])
                    continue
                if why := terraform.excuse(text, mine, theirs):
                    excused[why] += 1
                    continue
                differ += 1
                sys.stdout.write(f"{text}\n  ours:      {mine}\n  terraform: {theirs}\n")
    sys.stdout.write(f"{count} expressions, {errors} errors, {refused} refused on purpose, ")
    sys.stdout.write("".join(f"{n} {why}, " for why, n in sorted(excused.items())))
    sys.stdout.write(f"{differ} differences\n")
    if given.keep:
        lines = [json.dumps(one, ensure_ascii=False) for one in kept]
        if given.texts is None:
            lines = [line for line in lines if len(line) < LONGEST_KEPT]
        given.keep.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()

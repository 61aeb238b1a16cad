"""Results of tests as JUnit XML, as CI systems read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mlform.diagnostics import Diagnostic


class Tested(Protocol):
    """One test and what came of it."""

    @property
    def file(self) -> str:
        """As in the outcome of a run."""
        ...

    @property
    def run(self) -> str:
        """As in the outcome of a run."""
        ...

    @property
    def status(self) -> str:
        """As in the outcome of a run."""
        ...

    @property
    def seconds(self) -> float:
        """As in the outcome of a run."""
        ...

    @property
    def problems(self) -> Sequence[Diagnostic]:
        """As in the outcome of a run."""
        ...


def junit(found: Sequence[Tested]) -> str:
    """Return the results, a suite for each file."""
    suites = Element("testsuites")
    by_file: dict[str, list[Tested]] = {}
    for it in found:
        by_file.setdefault(it.file, []).append(it)
    for file, runs in by_file.items():
        counts = {
            "tests": len(runs),
            "failures": sum(r.status == "fail" for r in runs),
            "errors": sum(r.status == "error" for r in runs),
            "skipped": sum(r.status == "skip" for r in runs),
        }
        named = {name: str(count) for name, count in counts.items()}
        suite = SubElement(suites, "testsuite", {"name": file, **named})
        for run in runs:
            _case(suite, file, run)
    indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _case(suite: Element, file: str, run: Tested) -> None:
    attributes = {"name": run.run or "cleanup", "classname": file, "time": f"{run.seconds:.3f}"}
    case = SubElement(suite, "testcase", attributes)
    if run.status == "skip":
        SubElement(case, "skipped")
    if run.status not in {"fail", "error"}:
        return
    said = [f"{p.subject or ''} {p.summary}: {p.detail}".strip() for p in run.problems]
    element = "failure" if run.status == "fail" else "error"
    SubElement(case, element, {"message": said[0] if said else ""}).text = "\n".join(said)

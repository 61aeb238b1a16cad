"""``test``: carry out the tests of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Exit, Option
from mlform.cli.terminal import explained, say, say_json

if TYPE_CHECKING:
    from mlform.render.style import Style
    from mlform.testing import Outcome, TestFile

_STYLES: dict[str, Style] = {"pass": "green", "fail": "red", "error": "red", "skip": "yellow"}


def run_tests(
    directory: opt.Directory = opt.HERE,
    filter_: Annotated[
        list[str] | None,
        Option("--filter", metavar="FILE", help="Only this file."),
    ] = None,
    test_directory: Annotated[
        str, Option("--test-directory", help="Where tests are, beside the spec's folder.")
    ] = "tests",
    verbose: Annotated[bool, Option("--verbose", help="Show the plan of each run.")] = False,
    json: opt.Json = False,
    junit_xml: Annotated[
        Path | None, Option("--junit-xml", help="Write the results as JUnit XML too.")
    ] = None,
    values: opt.Values = None,
) -> None:
    """Carry out the tests in *.mlftest.hcl, each file in a state of its own."""
    from mlform.testing import read_files, run_file

    session = opt.open_session(directory, values)
    found: list[Outcome] = []
    with explained(session, as_json=json):
        files = read_files(session.root, test_directory, filter_ or (), session.diagnostics)
        for file in files:
            if not json:
                say([("bold", f"{file.name}"), ("", " ...\n")])
            told = _json if json else _Lines(file, session.root)
            found += run_file(session.root, file, session.given, told, verbose=verbose)
        if junit_xml is not None:
            from mlform.render.junit import junit

            junit_xml.write_text(junit(found), encoding="utf-8")
    counts = {s: sum(o.status == s for o in found if o.run) for s in _STYLES}
    failed = any(o.status in {"fail", "error"} for o in found)
    if json:
        say_json({"type": "summary", "passed": not failed, **counts}, lines=True)
    elif not found:
        say("There are no tests: put them into *.mlftest.hcl files.\n")
    else:
        style: Style = "red bold" if failed else "green"
        head = "Failure! " if failed else "Success! "
        skipped = f", {counts['skip']} skipped" if counts["skip"] else ""
        bad = counts["fail"] + counts["error"]
        say([("", "\n"), (style, head), ("", f"{counts['pass']} passed, {bad} failed{skipped}.\n")])
    if failed:
        raise Exit(1)


class _Lines:
    """Tells each run in a line, and what was wrong with it below."""

    def __init__(self, file: TestFile, root: Path) -> None:
        self.file, self.root = file, root

    def __call__(self, outcome: Outcome) -> None:
        """Tell one run."""
        from mlform.render.diagnostics import diagnostic

        what = f'run "{outcome.run}"' if outcome.run else "taking down"
        status = outcome.status.value
        say([("", f"  {what} ... "), (_STYLES[status], f"{status}\n")])
        if outcome.plan:
            say(outcome.plan)
        texts = {self.file.name: self.file.text}
        for problem in outcome.problems:
            subject = problem.subject
            if subject is not None and subject.file not in texts:
                path = self.root / subject.file
                texts[subject.file] = path.read_text("utf-8") if path.is_file() else ""
            say([("", "\n"), *diagnostic(problem, texts)], error=True)


def _json(outcome: Outcome) -> None:
    from mlform.render.diagnostics import as_data

    data = {
        "type": "run" if outcome.run else "cleanup",
        "file": outcome.file,
        "run": outcome.run,
        "status": outcome.status.value,
        "seconds": round(outcome.seconds, 3),
        "diagnostics": as_data(list(outcome.problems)),
    }
    say_json(data, lines=True)

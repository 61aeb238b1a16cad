"""The options that several commands share."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mlform.commands.session import Session
    from mlform.state.lease import Lease

Directory = Annotated[
    Path, typer.Option("--chdir", "-C", help="The folder of the spec.", show_default=False)
]
Var = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="Give a variable a value. May be repeated."),
]
VarFile = Annotated[
    list[Path] | None,
    typer.Option("--var-file", metavar="PATH", help="A file of values. May be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="For machines: JSON instead of text.")]
Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="ADDRESS",
        help="Only this resource and what it needs. May be repeated.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="ADDRESS",
        help="All but this and what needs it. May be repeated.",
    ),
]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="ADDRESS",
        help="Do this again, whatever its key says. May be repeated.",
    ),
]
Refresh = Annotated[
    str,
    typer.Option(
        "--refresh",
        metavar="true|false|stale",
        help="Look at what was made before planning; stale: where the last look is too old.",
    ),
]
RefreshOnly = Annotated[
    bool,
    typer.Option("--refresh-only", help="Only record what is out there; nothing else is planned."),
]
Adopt = Annotated[
    list[str] | None,
    typer.Option(
        "--adopt",
        metavar="ADDRESS",
        help="Record this as it was changed from outside. May be repeated.",
    ),
]
Revert = Annotated[
    list[str] | None,
    typer.Option(
        "--revert",
        metavar="ADDRESS",
        help="Put back what is declared where something else was adopted. May be repeated.",
    ),
]
GenerateConfig = Annotated[
    Path | None,
    typer.Option(
        "--generate-config-out",
        metavar="FILE",
        help="Write blocks for `import` blocks that have none.",
    ),
]
Purge = Annotated[
    bool,
    typer.Option(
        "--purge",
        help="Delete the data of what leaves, too: all that nothing serving was made from.",
    ),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="As Markdown, for a pull request.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help="What plantimestamp() is, as 2026-01-31T06:00:00Z. By default the time now.",
    ),
]
Parallelism = Annotated[
    int, typer.Option("--parallelism", min=1, help="How many steps at once.", show_default=True)
]
AutoApprove = Annotated[bool, typer.Option("--auto-approve", help="Do not ask.")]


def _duration(text: object) -> float:
    """Return how many seconds ``30s`` or ``5m`` is."""
    if isinstance(text, int | float):
        return float(text)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", str(text))
    if found is None:
        raise typer.BadParameter(f'"{text}" is no duration: write 30s, 5m or 1h.')
    return float(found[1]) * {"s": 1, "m": 60, "h": 3_600}[found[2]]


LockTimeout = Annotated[
    float,
    typer.Option(
        "--lock-timeout",
        metavar="30s",
        parser=_duration,
        help="How long to wait while another has the lock.",
        show_default=False,
    ),
]
HERE = Path()
_GIVEN = re.compile(r"--?var(-file)?(?:=(.*))?", re.DOTALL)


def open_session(
    directory: Path,
    var: Sequence[str] | None = None,
    var_file: Sequence[Path] | None = None,
    lock_timeout: float = 0.0,
) -> Session:
    """Return the session of one command."""
    from mlform.commands.session import Session
    from mlform.config import Given

    items = [("file", str(p)) for p in var_file or ()] + [("var", v) for v in var or ()]
    written = _as_written(sys.argv[1:])
    if sorted(written) == sorted(items):
        items = written
    session = Session(directory.resolve(), Given(items), lock_timeout=lock_timeout)
    session.waiting = _waiting
    return session


def _waiting(holder: Lease) -> None:
    """Say whom a command waits for; on standard error, where it disturbs nobody."""
    from mlform.state.lease import LockedError

    sys.stderr.write(f"Waiting for the lock. {LockedError(holder)}\n")
    sys.stderr.flush()


def refreshing(text: str) -> bool | Literal["stale"]:
    """Return what ``-refresh`` says. Raises ``DiagnosedError``."""
    known: dict[str, bool | Literal["stale"]] = {"true": True, "false": False, "stale": "stale"}
    if text not in known:
        from mlform.diagnostics import stop

        raise stop("Invalid option", f'-refresh is true, false or stale, not "{text}".')
    return known[text]


def _as_written(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Return what ``-var`` and ``-var-file`` give, in order: the parser does not keep that."""
    found: list[tuple[str, str]] = []
    left = iter(arguments)
    for argument in left:
        if match := _GIVEN.fullmatch(argument):
            value = next(left, "") if match[2] is None else match[2]
            found.append(("file", str(Path(value))) if match[1] else ("var", value))
    return found

"""The options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mlform.cli.parsing import Option
from mlform.lengths import seconds

if TYPE_CHECKING:
    from mlform.commands.session import Session
    from mlform.state.lease import Lease

Directory = Annotated[Path, Option("--chdir", "-C", help="The folder of the spec.")]
Values = Annotated[
    list[tuple[str, str]] | None,
    Option("--var", metavar="NAME=VALUE", help="Give a variable a value.", tag="var"),
    Option("--var-file", metavar="PATH", help="A file of values.", tag="file"),
]
"""Values of variables in the order in which they were given: the last one counts."""
Json = Annotated[bool, Option("--json", help="For machines: JSON instead of text.")]
Target = Annotated[
    list[str] | None,
    Option(
        "--target",
        metavar="ADDRESS",
        help="Only this resource and what it needs.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    Option(
        "--exclude",
        metavar="ADDRESS",
        help="All but this and what needs it.",
    ),
]
Replace = Annotated[
    list[str] | None,
    Option(
        "--replace",
        metavar="ADDRESS",
        help="Do this again, whatever its key says.",
    ),
]
Refresh = Annotated[
    str,
    Option(
        "--refresh",
        metavar="true|false|stale",
        alone="true",
        help="Look at what was made before planning; stale: where the last look is too old.",
    ),
]
RefreshOnly = Annotated[
    bool,
    Option("--refresh-only", help="Only record what is out there; nothing else is planned."),
]
Adopt = Annotated[
    list[str] | None,
    Option(
        "--adopt",
        metavar="ADDRESS",
        help="Record this as it was changed from outside.",
    ),
]
Revert = Annotated[
    list[str] | None,
    Option(
        "--revert",
        metavar="ADDRESS",
        help="Put back what is declared where something else was adopted.",
    ),
]
GenerateConfig = Annotated[
    Path | None,
    Option(
        "--generate-config-out",
        metavar="FILE",
        help="Write blocks for `import` blocks that have none.",
    ),
]
Purge = Annotated[
    bool,
    Option(
        "--purge",
        help="Delete the data of what leaves, too: all that nothing serving was made from.",
    ),
]
Markdown = Annotated[bool, Option("--markdown", help="As Markdown, for a pull request.")]
AsOf = Annotated[
    str | None,
    Option(
        "--as-of",
        metavar="TIME",
        help="What plantimestamp() is, as 2026-01-31T06:00:00Z. By default the time now.",
    ),
]
Parallelism = Annotated[
    int, Option("--parallelism", metavar="N", least=1, help="How many steps at once.")
]
AutoApprove = Annotated[bool, Option("--auto-approve", help="Do not ask.")]


def duration(text: str) -> float:
    """Return how many seconds ``30s`` or ``5m`` is. Raises ``ValueError``."""
    try:
        return seconds(text)
    except ValueError as error:
        raise ValueError(f'"{text}" {error}.') from None


LockTimeout = Annotated[
    float,
    Option(
        "--lock-timeout",
        metavar="30s",
        parser=duration,
        help="How long to wait while another has the lock.",
    ),
]
HERE = Path()


def open_session(
    directory: Path,
    values: Sequence[tuple[str, str]] | None = None,
    lock_timeout: float = 0.0,
) -> Session:
    """Return the session of one command."""
    from mlform.commands.session import Session
    from mlform.config import Given

    session = Session(directory.resolve(), Given(list(values or ())), lock_timeout=lock_timeout)
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

"""Who runs a command, in which run, and from which commit."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def new_run() -> str:
    """Return the name of a run: time-ordered, and unlike any other."""
    return f"r-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def provenance(root: Path) -> dict[str, Any]:
    """Return who applies, when, and from which commit."""
    import socket

    found: dict[str, Any] = {
        "by": f"{user()}@{socket.gethostname()}",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if commit := _git(root, "rev-parse", "HEAD"):
        found["commit"] = commit
        found["dirty"] = bool(_git(root, "status", "--porcelain", "--", "."))
    return found


def authors(root: Path) -> list[str]:
    """Return who wrote the last change of a spec, by name and address."""
    return _git(root, "log", "-1", "--format=%an%n%ae", "--", ".").splitlines()


def user() -> str:
    """Return who runs this, as this machine knows them."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _git(root: Path, *arguments: str) -> str:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", *arguments],  # noqa: S607 - whichever git the user has
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

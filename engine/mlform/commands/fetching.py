"""``get``: fetch the modules that come from elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mlform.commands.session import Session
from mlform.config.load import DEEPEST, called
from mlform.config.modules import (
    MANIFEST,
    Fetched,
    GitSource,
    SourceError,
    is_local,
    local_folder,
)
from mlform.diagnostics import DiagnosedError, stop
from mlform.files import write_file
from mlform.lazy import dataclass
from mlform.syntax.tree import Attribute

_SECRET: Final = re.compile(r"(://)[^/@]+@")
_TIMEOUT: Final = 600
_QUIET: Final = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}


@dataclass(frozen=True)
class Got:
    """One module that is in place now: the call, its source, and the commit; or it was there."""

    place: str
    source: str
    commit: str
    fresh: bool


def get(session: Session, *, update: bool = False) -> list[Got]:
    """Fetch every module that is not in place, or with ``update`` all of them anew.

    Raises ``DiagnosedError`` where one cannot be fetched; those before it stay in place.
    """
    fetcher = _Fetcher(session, update=update)
    found = list(fetcher.folder(".", session.sources.files, ()))
    fetcher.keep(found)
    session.diagnostics.stop_on_errors()
    session.sources.modules.clear()
    return found


class _Fetcher:
    def __init__(self, session: Session, *, update: bool) -> None:
        self.session, self.update = session, update
        self.root = session.root
        self.entries: dict[str, Mapping[str, Any]] = dict(Fetched.read(self.root).entries)

    def folder(self, folder: str, files: Mapping[str, str], path: tuple[str, ...]) -> Iterator[Got]:
        """Fetch what the files of one folder call, and what that calls."""
        diagnostics = self.session.diagnostics
        root = None if path else (self.session.sources, self.session.given)
        for name, (source, written) in called(files, diagnostics, root).items():
            inside = (*path, name)
            if len(inside) > DEEPEST:
                continue  # reading the spec tells of it
            if is_local(source):
                where = local_folder(folder, source)
            else:
                try:
                    got = self._fetched(".".join(inside), source, written)
                except DiagnosedError as error:
                    diagnostics.extend(error.diagnostics)  # and go on: others may fail too
                    continue
                where = str(self.entries[got.place]["folder"])
                yield got
            yield from self.folder(where, self.session.sources.module(where, diagnostics), inside)

    def _fetched(self, place: str, source: str, written: Attribute) -> Got:
        entry = self.entries.get(place, {})
        there = entry.get("source") == source and (self.root / str(entry.get("folder"))).is_dir()
        if there and not self.update:
            return Got(place, source, str(entry.get("commit")), fresh=False)
        try:
            git = GitSource.parse(source)
        except SourceError as error:
            raise stop("Invalid module source", str(error), at=written.value_span) from None
        target = f"{Path(MANIFEST).parent.as_posix()}/{place}"
        commit = self._clone(git, self.root / target, written)
        folder = f"{target}/{git.subfolder}".rstrip("/")
        if not (self.root / folder).is_dir():
            detail = f'There is no folder "{git.subfolder}" in {_shown(git.url)} at {commit[:12]}.'
            raise stop("Module not found", detail, at=written.value_span)
        self.entries[place] = {"source": source, "folder": folder, "commit": commit}
        return Got(place, source, commit, fresh=True)

    def _clone(self, git: GitSource, target: Path, written: Attribute) -> str:
        fresh = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            _git(fresh, written, "init", "--quiet")
            _git(fresh, written, "remote", "add", "origin", "--", git.url)
            _checkout(fresh, git.ref, written)
            commit = _git(fresh, written, "rev-parse", "HEAD")
            shutil.rmtree(target, ignore_errors=True)
            fresh.replace(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return commit

    def keep(self, found: list[Got]) -> None:
        """Write the manifest, of what is called and nothing else."""
        wanted = {got.place: self.entries[got.place] for got in found}
        path = self.root / MANIFEST
        if not wanted and not path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, (json.dumps(wanted, indent=1, sort_keys=True) + "\n").encode())


def _checkout(folder: Path, ref: str | None, written: Attribute) -> None:
    """Take one commit; where a server gives no single ones, all of them."""
    try:
        _git(folder, written, "fetch", "--quiet", "--depth=1", "origin", ref or "HEAD")
        _git(folder, written, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    except _GitError:
        _git_or_stop(folder, written, "fetch", "--quiet", "--tags", "origin")
        _git_or_stop(folder, written, "checkout", "--quiet", "--detach", ref or "origin/HEAD")


class _GitError(Exception):
    """Git refused; the message is its own, without credentials."""


def _git_or_stop(folder: Path, written: Attribute, *arguments: str) -> str:
    try:
        return _git(folder, written, *arguments)
    except _GitError as error:
        detail = f"git could not fetch the module: {error}"
        raise stop("Module not fetched", detail, at=written.value_span) from None


def _git(folder: Path, written: Attribute, *arguments: str) -> str:
    environment = {**os.environ, **_QUIET}
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are checked, and follow fixed words
            ["git", *arguments],  # noqa: S607 - whichever git the user has
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        detail = "Modules from repositories are fetched with git, which is not installed."
        raise stop("Module not fetched", detail, at=written.value_span) from None
    except subprocess.TimeoutExpired:
        detail = f"git did not answer within {_TIMEOUT} seconds."
        raise stop("Module not fetched", detail, at=written.value_span) from None
    if done.returncode:
        lines = _shown(done.stderr.strip()).splitlines() or [f"exit code {done.returncode}"]
        fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
        raise _GitError([*fatal, lines[-1]][0])
    return done.stdout.strip()


def _shown(text: str) -> str:
    """Return a text without the credentials of a URL."""
    return _SECRET.sub(r"\1", text)

"""Files that are part of the configuration, and their paths."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from posixpath import basename as last_part
from posixpath import dirname as all_but_last
from posixpath import normpath
from typing import Any

from mlform.lang.graphemes import normal
from mlform.lang.operations import OperationError, shorten
from mlform.lang.registry import World, check_size, function, string
from mlform.types import BOOL, STRING, Collection
from mlform.values import Value

_STRING_SET = Collection("set", STRING)
_LARGEST = 64 * 1024 * 1024
_MOST_FILES = 100_000
_SYSTEM = (("dev",), ("proc",), ("sys",))
"""What looks like files there is the state of the machine and of the process, its secrets too."""


def _place(world: World, path: str) -> Path:
    if "\0" in path:
        raise OperationError("a path has no zero characters", 0)
    try:
        return world.base / Path(path).expanduser()
    except RuntimeError as error:
        raise OperationError(str(error), 0) from None


def read(world: World, path: str) -> bytes:
    """Return the content of a file. Raises ``OperationError``."""
    place = _place(world, path)
    try:
        if stat.S_ISDIR(place.stat().st_mode):
            raise OperationError(f'"{shorten(path)}" is a folder', 0)
        if not place.is_file() or place.resolve().parts[1:2] in _SYSTEM:
            raise OperationError(f'"{shorten(path)}" is no regular file', 0)
        check = place.stat().st_size
        if check > _LARGEST:
            raise OperationError(f'"{shorten(path)}" has {check:,} bytes, too many to hold', 0)
        return place.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise OperationError(
            f'there is no file "{shorten(path)}"; only files that are there before the plan is '
            "made can be read, not what a resource makes",
            0,
        ) from None
    except OSError as error:
        raise OperationError(f'"{shorten(path)}" cannot be read: {error.strerror}', 0) from None


def read_text(world: World, path: str) -> str:
    """Return the text in a file. Raises ``OperationError``."""
    try:
        return normal(read(world, path).decode())
    except UnicodeDecodeError:
        raise OperationError(
            f'"{shorten(path)}" holds no UTF-8 text; filebase64 gives its bytes in Base64', 0
        ) from None


@function("file", string("path"), result=STRING, world=True)
def file(world: World, path: str) -> Value:
    """Return the text in a file."""
    return read_text(world, path)


@function("filebase64", string("path"), result=STRING, world=True)
def filebase64(world: World, path: str) -> Value:
    """Return the bytes of a file in Base64."""
    return base64.b64encode(read(world, path)).decode()


@function("fileexists", string("path"), result=BOOL, world=True)
def fileexists(world: World, path: str) -> Value:
    """Tell whether there is a file; what is there and is none, such as a folder, is an error."""
    try:
        mode = _place(world, path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise OperationError(f'"{shorten(path)}" cannot be read: {error.strerror}', 0) from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise OperationError(f'"{shorten(path)}" is {kind}', 0)
    return True


@function("abspath", string("path"), result=STRING, world=True)
def abspath(world: World, path: str) -> Value:
    """Return the absolute form of a path, without ``.`` and ``..``."""
    return _clean((Path.cwd() / world.base / path).as_posix())


def _clean(path: str) -> str:
    """Return a path without ``.``, ``..`` and a second slash, which is none of its own here."""
    found = normpath(path)
    return found[1:] if found.startswith("//") else found


@function("dirname", string("path"), result=STRING)
def dirname(path: str) -> Value:
    """Return a path without its last part."""
    return _clean(all_but_last(path)) if all_but_last(path) else "."


@function("basename", string("path"), result=STRING)
def basename(path: str) -> Value:
    """Return the last part of a path."""
    return last_part(path.rstrip("/")) or ("/" if path.startswith("/") else ".")


@function("pathexpand", string("path"), result=STRING)
def pathexpand(path: str) -> Value:
    """Put the home folder in the place of a ``~`` at the start."""
    if not path.startswith("~"):
        return path
    if path != "~" and not path.startswith("~/"):
        raise OperationError("the home folders of other users are not known", 0)
    return str(Path.home()) + path[1:]


@function("fileset", string("path"), string("pattern"), result=_STRING_SET, world=True)
def fileset(world: World, path: str, pattern: str) -> Value:
    """Return the files in a folder whose relative paths match a pattern, ``**`` going deeper."""
    folder = _place(world, path)
    if not folder.is_dir():
        return []
    shape = _glob(pattern)
    return [p for p in _files(folder, pattern) if shape.fullmatch(p)]


def _files(folder: Path, pattern: str) -> Iterator[str]:
    """Yield the files below a folder, no deeper than a pattern reaches."""
    depth = None if "**" in pattern else normpath(pattern).count("/")
    seen = 0
    for place, folders, names in os.walk(folder):
        inside = Path(place).relative_to(folder).as_posix()
        level = 0 if inside == "." else inside.count("/") + 1
        if depth is not None and level >= depth:
            folders.clear()
        seen += len(names) + len(folders)
        if seen > _MOST_FILES:
            raise OperationError(
                f"there are more than {_MOST_FILES:,} files to look through; name a folder further "
                "down, or a pattern without **",
                0,
            )
        for name in names:
            if _is_file(f"{place}/{name}"):
                yield normal(name if inside == "." else f"{inside}/{name}")


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - a Path for each file is slow
    except OSError:
        return False


def _glob(pattern: str) -> Any:
    """Return a glob pattern as a regular expression, of RE2. Raises ``OperationError``."""
    pieces: list[str] = []
    at = depth = 0
    check_size(len(pattern) * 1000, "steps")
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if pattern.startswith("**/", at - 1) and (at == 1 or pattern[at - 2] in "/{,"):
            pieces.append("(?:[^/]+/)*")
            at += 2
        elif char == "*":
            deeper = pattern.startswith("*", at)
            at += deeper
            pieces.append(".*" if deeper else "[^/]*")
        elif char == "[":
            at = _class(pattern, at, pieces)
        elif char == "\\" and at < len(pattern):
            pieces.append(re.escape(pattern[at]))
            at += 1
        elif char == "{":
            pieces.append("(?:")
            depth += 1
        elif char in ",}" and depth:
            pieces.append("|" if char == "," else ")")
            depth -= char == "}"
        else:
            pieces.append("[^/]" if char == "?" else re.escape(char))
    if depth:
        raise OperationError("the pattern is wrong: a { is not closed", 1)
    re2 = import_module("re2")
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile("".join(pieces), options)
    except re2.error:
        raise OperationError("the pattern is wrong, or too large", 1) from None


def _class(pattern: str, at: int, pieces: list[str]) -> int:
    end = pattern.find("]", at + 1)
    if end < 0:
        raise OperationError("the pattern is wrong: a [ is not closed", 1)
    inner = pattern[at:end]
    negated = inner[:1] in {"^", "!"}
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner[negated:])
    try:
        re.compile(f"[{members}]")
    except re.error as error:
        raise OperationError(f"the pattern is wrong: {error.msg}", 1) from None
    pieces.append(f"[^/{members}]" if negated else f"[{members}]")
    return end + 1

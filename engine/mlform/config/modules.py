"""Where the files of called modules are: beside the caller, or fetched by ``mlform get``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mlform.lazy import dataclass

MANIFEST: Final = ".mlform/modules/modules.json"
"""What ``mlform get`` fetched: the place of a call → its source and its folder."""

_GIT_HOSTS: Final = ("github.com/", "gitlab.com/", "bitbucket.org/")
_SCP: Final = r"[\w.-]+@[\w.-]+:.+"


class SourceError(Exception):
    """A source that is none; says why, as a sentence."""


@dataclass(frozen=True)
class GitSource:
    """A repository, a folder inside it, and the branch, tag or commit to take."""

    url: str
    subfolder: str
    ref: str | None

    @classmethod
    def parse(cls, text: str) -> GitSource:
        """Read ``git::URL//SUBFOLDER?ref=REF``, or a short form of it. Raises ``SourceError``."""
        body, _, query = text.partition("?")
        ref = None
        for part in filter(None, query.split("&")):
            name, _, value = part.partition("=")
            if name != "ref" or not value:
                raise SourceError(f'A source takes `?ref=…`, not "{part}".')
            ref = value
        forced = body.startswith("git::")
        body = body.removeprefix("git::")
        scheme, _, rest = body.rpartition("://")
        place, _, subfolder = rest.partition("//")
        url = f"{scheme}://{place}" if scheme else place
        if not scheme and place.startswith(_GIT_HOSTS):
            url = f"https://{place}"
        elif (
            not scheme and not re.fullmatch(_SCP, place) and not (forced and place.startswith("/"))
        ):
            raise SourceError(
                f'"{text}" is no source of a module. A folder is written "./…" or "../…", a '
                'repository "git::https://host/path.git//folder?ref=v1".'
            )
        elif scheme and not forced and not place.endswith(".git"):
            raise SourceError(f'"{text}" is fetched with git: write "git::{text}".')
        if (ref is not None and ref.startswith("-")) or url.startswith("-"):
            raise SourceError(f'"{text}" has a part that begins with "-".')
        if ".." in PurePosixPath(subfolder).parts:
            raise SourceError(f'The folder in "{text}" leads out of the repository.')
        return cls(url, subfolder.strip("/"), ref)


def is_local(source: str) -> bool:
    """Tell whether a source is a folder beside the caller."""
    return source in {".", ".."} or source.startswith(("./", "../"))


def local_folder(caller: str, source: str) -> str:
    """Return the folder of a local source, relative to the root module's."""
    return PurePosixPath(os.path.normpath(PurePosixPath(caller) / source)).as_posix()


@dataclass(frozen=True)
class Fetched:
    """What ``mlform get`` has put into place."""

    entries: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, root: Path) -> Fetched:
        """Read the manifest; none, or a damaged one, is nothing fetched."""
        try:
            found = json.loads((root / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError):
            return cls({})
        return cls(found if isinstance(found, dict) else {})

    def folder(self, place: str, source: str) -> str | None:
        """Return the folder of a call's module, or ``None`` if it was not fetched."""
        entry = self.entries.get(place)
        if not isinstance(entry, dict) or entry.get("source") != source:
            return None
        return str(entry.get("folder"))

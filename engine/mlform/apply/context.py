"""What a provider is lent inside a worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from mlform.artifacts import FileDigests, LocalStore, open_store
from mlform.lazy import dataclass
from mlform.sdk import (
    Approval,
    Artifact,
    Artifacts,
    Attributes,
    CancelledError,
    Context,
    Doing,
    Inputs,
)
from mlform.values import digest


class Channel(Protocol):
    """The way back to the engine."""

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Say how far the work is."""

    def log(self, text: str) -> None:
        """Say a line."""

    def partial(self, attributes: Mapping[str, Any]) -> None:
        """Say what exists by now."""

    def stopping(self) -> bool:
        """Tell whether the user asked to stop."""
        ...


def describe(
    *,
    address: str,
    doing: Doing,
    root: Path,
    home: Path | str,
    workdir: Path | str,
    store: Mapping[str, Any],
    cache: Path,
    inputs: Inputs,
    receipt: Mapping[str, Any],
    code_files: Mapping[str, Sequence[str]] | None = None,
    fresh: bool = False,
    purge: bool = False,
    approvals: Sequence[Approval] = (),
    quarantined: Iterable[str] = (),
) -> dict[str, Any]:
    """Return a context as plain data, to be sent to a worker.

    ``fresh``: nothing that was remembered counts, all is made anew. ``purge``: what destroying
    keeps is to go too.
    """
    return {
        "address": address,
        "doing": doing,
        "root": str(root),
        "home": str(home),
        "workdir": str(workdir),
        "store": dict(store),
        "cache": str(cache),
        "parts": dict(inputs.parts),
        "rows": inputs.rows,
        "receipt": dict(receipt),
        "code_files": {name: list(files) for name, files in (code_files or {}).items()},
        "fresh": fresh,
        "purge": purge,
        "approvals": [[it.by, list(it.roles)] for it in approvals],
        "quarantined": list(quarantined),
    }


def make(data: Mapping[str, Any], channel: Channel) -> Context:
    """Return the context that ``describe`` described. Called in the worker."""
    return _Context(
        channel=channel,
        address=data["address"],
        doing=data["doing"],
        root=Path(data["root"]),
        home=Path(data["home"]),
        place=data["workdir"],
        inputs=Inputs(data["parts"], data["rows"]),
        receipt=data["receipt"],
        code_files=data["code_files"],
        store=open_store(data["store"]),
        cache=Path(data["cache"]),
        fresh=data["fresh"],
        purge=data["purge"],
        approvals=tuple(Approval(by, tuple(roles)) for by, roles in data["approvals"]),
        quarantined=tuple(data["quarantined"]),
    )


@dataclass(frozen=True)
class _Context:
    channel: Channel
    address: str
    doing: Doing
    root: Path
    home: Path
    place: str
    inputs: Inputs
    receipt: Mapping[str, Any]
    code_files: Mapping[str, Sequence[str]]
    store: LocalStore
    cache: Path
    fresh: bool
    purge: bool
    approvals: Sequence[Approval]
    quarantined: Sequence[str]

    @property
    def artifacts(self) -> Artifacts:
        return self.store

    @cached_property
    def digests(self) -> FileDigests:
        return FileDigests(self.cache)  # few ask

    @property
    def workdir(self) -> Path:
        folder = Path(self.place)
        folder.mkdir(parents=True, exist_ok=True)  # few ask, and a folder costs as much as a call
        return folder

    def file_digest(self, path: Path | str) -> str:
        return self.digests.digest(path)

    def file_digests(self, paths: Iterable[str]) -> list[str]:
        return self.digests.digests(paths)

    def remember(self, token: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        return self.digests.remember(token, make)

    def memo(self, what: Mapping[str, Any], make: Callable[[], bytes]) -> Artifact:
        key = digest({"what": dict(what), "environment": self.receipt.get("environment")})
        known = None if self.fresh else self.store.memo_get(key)
        if known is not None:
            return known
        artifact = self.store.put_bytes(make())
        self.store.memo_put(key, artifact)
        return artifact

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        self.channel.progress(done, total, note)
        self.checkpoint()

    def log(self, text: str) -> None:
        self.channel.log(text)

    def partial(self, attributes: Attributes) -> None:
        self.channel.partial(attributes.model_dump(mode="json"))

    def checkpoint(self) -> None:
        if self.channel.stopping():
            raise CancelledError

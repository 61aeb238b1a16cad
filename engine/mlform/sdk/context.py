"""What the engine lends a resource while it looks, and while it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from mlform.sdk.approvals import Approval
from mlform.sdk.fields import Artifact, Attributes
from mlform.sdk.resource import Inputs

Doing: TypeAlias = Literal["create", "run", "roll", "update", "decide", "destroy", "import"]


class CancelledError(BaseException):
    """The user asked to stop. Let it through; ``finally`` still runs.

    A ``BaseException``, as in asyncio and trio, so that ``except Exception`` does not eat it.
    """


class Artifacts(Protocol):
    """The content-addressed store. What it gives is verified against its digest."""

    def put_file(self, path: Path, media_type: str = "application/octet-stream") -> Artifact:
        """Copy a file in."""
        ...

    def put_bytes(self, data: bytes, media_type: str = "application/octet-stream") -> Artifact:
        """Put bytes in."""
        ...

    def path(self, digest: str) -> Path:
        """Return a local, read-only file with the content. Raises ``KeyError`` if not there."""
        ...

    def checkout(self, digest: str, target: Path) -> None:
        """Copy the content into a new file, yours to edit. Raises ``KeyError`` if not there.

        Where the file system can share blocks this takes no room, and no time.
        """

    def read(self, digest: str) -> bytes:
        """Return the content. Raises ``KeyError`` if it is not there."""
        ...

    def __contains__(self, digest: object) -> bool:
        """Tell whether the content is there."""
        ...


class Looking(Protocol):
    """Lent to ``inputs`` and ``read``: looking must be quick and change nothing."""

    @property
    def address(self) -> str:
        """The address of the resource."""
        ...

    @property
    def root(self) -> Path:
        """The folder of the spec: what relative paths in arguments start from."""
        ...

    @property
    def home(self) -> Path:
        """A folder of this resource's own that outlives runs (it may not exist yet)."""
        ...

    @property
    def artifacts(self) -> Artifacts:
        """The artifact store."""
        ...

    def file_digest(self, path: Path | str) -> str:
        """Return the sha256 of a file; read again only if its size, times or inode moved."""
        ...

    def file_digests(self, paths: Iterable[str]) -> list[str]:
        """Return those of many files, in order: quicker than one by one."""
        ...

    def remember(self, token: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return what ``make`` gave for this token before, or make and keep it (JSON)."""
        ...


class Context(Looking, Protocol):
    """Lent to ``apply``, ``run``, ``import_`` and ``destroy``: one run of one resource."""

    @property
    def doing(self) -> Doing:
        """What the plan called for. On ``decide`` and ``update`` nothing is computed anew."""
        ...

    @property
    def purge(self) -> bool:
        """Whether what destroying keeps is to go as well.

        The engine deletes artifacts and ``home`` afterwards; what lies elsewhere is for
        ``destroy`` to delete.
        """
        ...

    @property
    def quarantined(self) -> Collection[str]:
        """Digests that may not serve any more, by the models that this resource refers to.

        What serves one of them is to be replaced at once, and not step by step.
        """
        ...

    @property
    def workdir(self) -> Path:
        """An empty folder for this run alone; removed after it."""
        ...

    @property
    def inputs(self) -> Inputs:
        """The facts from outside this run's key was made of. What differs now is an error."""
        ...

    @property
    def receipt(self) -> Mapping[str, Any]:
        """What the engine knows this result is made of: key, code, environment, commit."""
        ...

    @property
    def code_files(self) -> Mapping[str, Sequence[str]]:
        """The files of the spec's folder that user code is made of, by the argument naming it."""
        ...

    @property
    def approvals(self) -> Sequence[Approval]:
        """Who has agreed to exactly this, as far as the type asks for it (``approvals``)."""
        ...

    def memo(self, what: Mapping[str, Any], make: Callable[[], bytes]) -> Artifact:
        """Return the artifact made before from the same ``what`` (JSON), or make and keep it."""
        ...

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the work is. Also a checkpoint."""

    def log(self, text: str) -> None:
        """Tell the user one line, beside the progress."""

    def partial(self, attributes: Attributes) -> None:
        """Have it recorded at once that something exists, whatever becomes of the rest.

        Call it in ``apply`` as soon as there is something out there to lose: if what follows
        fails, or this process dies, it is known, and made again or destroyed by the next apply.
        """

    def checkpoint(self) -> None:
        """Raise ``CancelledError`` if the user asked to stop. Call it where stopping is safe."""

"""The contract every resource type keeps, as one call, like ``check_estimator``."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mlform.lazy import dataclass, field
from mlform.sdk.approvals import Approval
from mlform.sdk.context import Artifacts, CancelledError, Doing
from mlform.sdk.fields import Arguments, Artifact, Attributes, FieldClass, field_classes
from mlform.sdk.resource import Inputs, Resource, ResourceError, Stored

A = TypeVar("A", bound=Arguments)
B = TypeVar("B", bound=Attributes)


@dataclass(frozen=True)
class FakeArtifacts:
    """A content-addressed store in one folder."""

    folder: Path

    def put_file(self, path: Path, media_type: str = "application/octet-stream") -> Artifact:
        """Copy a file in."""
        return self.put_bytes(path.read_bytes(), media_type)

    def put_bytes(self, data: bytes, media_type: str = "application/octet-stream") -> Artifact:
        """Put bytes in."""
        name = hashlib.sha256(data).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)
        return Artifact(digest=f"sha256:{name}", size=len(data), media_type=media_type)

    def path(self, digest: str) -> Path:
        """Return the file with the content."""
        path = self.folder / digest.removeprefix("sha256:")
        if not path.is_file():
            raise KeyError(digest)
        return path

    def checkout(self, digest: str, target: Path) -> None:
        """Copy the content into a new file."""
        shutil.copyfile(self.path(digest), target)

    def read(self, digest: str) -> bytes:
        """Return the content."""
        return self.path(digest).read_bytes()

    def __contains__(self, digest: object) -> bool:
        return (self.folder / str(digest).removeprefix("sha256:")).is_file()


@dataclass
class FakeContext:
    """A ``Context`` for tests: remembers what it hears, and stops after ``stop_after`` checkpoints.

    ``made`` counts how often ``memo`` had to make something.
    """

    base: Path
    doing: Doing = "run"
    inputs: Inputs = field(default_factory=Inputs)
    address: str = "test.it"
    root: Path = Path()
    receipt: Mapping[str, Any] = field(default_factory=dict)
    code_files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    approvals: Sequence[Approval] = ()
    quarantined: Sequence[str] = ()
    stop_after: int | None = None
    purge: bool = False
    heard: list[tuple[float, float | None, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    made: int = 0
    exists: list[Attributes] = field(default_factory=list)
    remembered: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.root == Path():
            self.root = self.base

    @property
    def artifacts(self) -> Artifacts:
        """A store under ``base``."""
        return FakeArtifacts(self.base / "artifacts")

    @property
    def home(self) -> Path:
        """A folder under ``base`` that outlives runs."""
        return self.base / "home" / self.address

    @property
    def workdir(self) -> Path:
        """A folder under ``base``."""
        path = self.base / "work"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def fresh(self) -> None:
        """Empty the working folder, as the engine does between runs."""
        shutil.rmtree(self.base / "work", ignore_errors=True)

    def file_digest(self, path: Path | str) -> str:
        """Hash the file."""
        return "sha256:" + hashlib.sha256(Path(path).read_bytes()).hexdigest()

    def file_digests(self, paths: Iterable[str]) -> list[str]:
        """Hash the files."""
        return [self.file_digest(path) for path in paths]

    def remember(self, token: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Make once per token."""
        if token not in self.remembered:
            self.remembered[token] = make()
        return self.remembered[token]

    def memo(self, what: Mapping[str, Any], make: Callable[[], bytes]) -> Artifact:
        """Make once per ``what``."""
        name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
        known = self.base / "memo" / name
        if known.is_file():
            return Artifact.model_validate_json(known.read_text())
        self.made += 1
        artifact = self.artifacts.put_bytes(make())
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(artifact.model_dump_json())
        return artifact

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Remember, then checkpoint."""
        self.heard.append((done, total, note))
        self.checkpoint()

    def partial(self, attributes: Attributes) -> None:
        """Remember what was said to exist."""
        self.exists.append(attributes)

    def log(self, text: str) -> None:
        """Remember the line."""
        self.lines.append(text)

    def checkpoint(self) -> None:
        """Count down to the stop, if one was asked for."""
        if self.stop_after is not None:
            if self.stop_after == 0:
                raise CancelledError
            self.stop_after -= 1


def lasting(attributes: Attributes) -> dict[str, Any]:
    """Return the attributes that count in the digest of the resource, as plain data."""
    classes = field_classes(type(attributes))
    volatile = {n for n, c in classes.items() if c in {FieldClass.VOLATILE, FieldClass.HELD}}
    return attributes.model_dump(mode="json", exclude=volatile)


def check_resource(
    resource: Resource[A, B],
    first: A,
    second: A,
    ctx: FakeContext,
    exists: Callable[[B], str] | None = None,
) -> tuple[Stored[A, B], Stored[A, B]]:
    """Take ``resource`` through its life and assert what every resource promises.

    ``first`` and ``second`` are two sets of complete arguments for the same object. ``exists``
    gives the id by which what ``first`` made (its attributes) can be imported; a type that
    implements ``import_`` is to be checked with one. Returns what would be stored after each
    apply.
    """
    ctx.inputs = resource.inputs(ctx, first)
    assert resource.inputs(ctx, first) == ctx.inputs, "inputs must be deterministic"
    attributes = resource.apply(ctx, first, None)
    before = Stored(first, attributes)
    seen = resource.read(ctx, before)
    assert seen is not None, "read after create must see what was made"
    assert lasting(seen) == lasting(attributes), "read after create must see what was made"

    reloaded = resource.attributes.model_validate(attributes.model_dump(mode="json"))
    assert reloaded == attributes, "attributes must survive the state"
    round_trip = first.model_dump(mode="json", by_alias=True)
    kept = resource.arguments.model_validate(round_trip).model_dump(mode="json", by_alias=True)
    assert kept == round_trip, "arguments must survive too"

    if resource.reusable:
        ctx.fresh()
        again = resource.apply(ctx, first, None)
        assert lasting(again) == lasting(attributes), "equal inputs must give equal results"

    if exists is not None:
        _check_import(resource, before, exists(attributes), ctx)
    else:
        own = type(resource).import_ is not Resource.import_
        assert not own, "a type that imports is checked with `exists`"

    ctx.inputs = resource.inputs(ctx, second)
    after = Stored(second, resource.apply(ctx, second, before))
    seen = resource.read(ctx, after)
    assert seen is not None, "read after update must see what was made"
    assert lasting(seen) == lasting(after.attributes), "read after update must see it"
    ctx.doing = "destroy"
    resource.destroy(ctx, after)
    resource.destroy(ctx, after)
    return before, after


def _check_import(resource: Resource[A, B], made: Stored[A, B], id_: str, ctx: FakeContext) -> None:
    """Assert that what exists is imported as ``made`` says, and that looking does not change it."""
    doing, ctx.doing = ctx.doing, "import"
    found = resource.import_(ctx, id_, made.arguments)
    assert found is not None, f"import must find {id_}"
    again = resource.import_(ctx, id_, made.arguments)
    assert again == found, "looking twice must give the same"
    written = made.arguments.model_dump(mode="json", by_alias=True)
    told = type(made.arguments).model_validate({**written, **found.arguments})
    assert told.model_dump(mode="json", by_alias=True) == written, "what matches must be told so"
    seen = resource.read(ctx, Stored(made.arguments, found.attributes))
    assert seen is not None, "read after import must see what was imported"
    assert lasting(seen) == lasting(found.attributes), "read after import must see it as imported"
    try:
        nothing = resource.import_(ctx, f"{id_}.nothing", made.arguments)
    except ResourceError:
        nothing = None
    assert nothing is None, "an id that nothing is known by must be refused"
    ctx.doing = doing

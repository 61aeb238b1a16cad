"""Pinned versions of datasets: ``.mlform.lock.hcl``, committed, moved only on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlform.address import Address
from mlform.diagnostics import Diagnostics, stop
from mlform.files import write_file
from mlform.lang import evaluate
from mlform.lazy import dataclass, field
from mlform.refresh.world import aliased_classes
from mlform.sdk import AnyResource
from mlform.sdk.fields import FieldClass
from mlform.state.model import Record
from mlform.syntax import parse
from mlform.values import Value, digest, plain

LOCK_FILE: Final = ".mlform.lock.hcl"
_HEADER: Final = """\
# Which version of each pinned dataset the spec means. Written by mlform; commit it.
# It moves by `mlform update`, or when a trigger advances a dataset.
"""
_MEND: Final = "Restore the file from version control, or delete it and run `mlform update`."


@dataclass(frozen=True)
class Pin:
    """One pinned version: the parts at the source, and what source they were read from.

    ``by`` is who moved it there by ``mlform update``, and ``at`` when; empty for any other cause.
    """

    source: str
    parts: Mapping[str, str]
    rows: int | None = None
    by: str = field(default="", compare=False)
    at: str = field(default="", compare=False)

    @property
    def version(self) -> str:
        """The digest of the parts: the name of the version."""
        return digest(dict(self.parts))


def source_of(resource: AnyResource, arguments: Mapping[str, Any]) -> str:
    """Return the digest of the arguments that say where data come from."""
    classes = aliased_classes(resource)
    return digest({n: arguments.get(n) for n, c in classes.items() if c is FieldClass.IDENTITY})


def version_mode(values: Mapping[str, Value]) -> tuple[str, str | None]:
    """Return how a dataset's version is chosen, and the one asked for if it is fixed."""
    version = values.get("version")
    if not isinstance(version, Mapping):
        return "float", None
    fixed = version.get("value")
    return str(version.get("mode", "float")), fixed if isinstance(fixed, str) else None


def pin_of(resource: AnyResource, record: Record | None) -> Pin | None:
    """Return the version that a record pins; ``None`` for one that pins none.

    It counts where the lock file has none: a run that was killed had no time to write it there.
    """
    if record is None or version_mode(record.arguments)[0] != "pin":
        return None
    return Pin(source_of(resource, record.arguments), record.parts, record.receipt.get("rows"))


def read_pins(root: Path) -> dict[Address, Pin]:
    """Read the lock file; none is no pin. Raises ``DiagnosedError`` where it is damaged."""
    path = root / LOCK_FILE
    if not path.is_file():
        return {}
    diagnostics = Diagnostics()
    try:
        body = parse(path.read_bytes().decode("utf-8"), LOCK_FILE, diagnostics)
    except UnicodeDecodeError:
        raise stop("Lock file is damaged", f"{LOCK_FILE} is not text. {_MEND}") from None
    diagnostics.stop_on_errors()
    for attribute in body.attributes.values():
        detail = f"An entry is a `pin` block, not `{attribute.name} = …`. {_MEND}"
        diagnostics.error("Lock file is damaged", detail, at=attribute.span)
    pins: dict[Address, Pin] = {}
    for block in body.blocks:
        try:
            values: dict[str, Any] = {
                n: plain(evaluate(a.expr, {}, diagnostics, a.source))
                for n, a in block.body.attributes.items()
            }
            address = Address.parse(block.labels[0].text)
            moved = {n: str(values[n]) for n in ("by", "at") if n in values}
            pin = Pin(values["source"], dict(values["parts"]), values.get("rows"), **moved)
            _check(values["version"], pin)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            detail = f"The entry cannot be read: {why}. {_MEND}"
            diagnostics.error("Lock file is damaged", detail, at=block.header_span)
        else:
            pins[address] = pin
    diagnostics.stop_on_errors()
    return pins


def _check(version: str, pin: Pin) -> None:
    if version != pin.version:
        raise ValueError("its version is not that of its parts")


def write_pins(root: Path, pins: Mapping[Address, Pin]) -> None:
    """Write the lock file, whole or not at all; it is on the disk when this returns."""
    write_file(root / LOCK_FILE, pins_text(pins).encode())


def pins_text(pins: Mapping[Address, Pin]) -> str:
    """Return what the lock file says."""
    from mlform.syntax.write import write_blocks  # noqa: PLC0415 - loads the HCL library

    blocks = [
        (
            "pin",
            [str(address)],
            {
                "version": pin.version,
                "source": pin.source,
                **({} if pin.rows is None else {"rows": pin.rows}),
                **({"by": pin.by, "at": pin.at} if pin.by else {}),
                "parts": dict(sorted(pin.parts.items())),
            },
        )
        for address, pin in sorted(pins.items())
    ]
    return _HEADER + write_blocks(blocks)


def lock_digest(pins: Mapping[Address, Pin]) -> str:
    """Return the digest of all pins, which a plan states."""
    return digest({str(a): p.version for a, p in sorted(pins.items())})

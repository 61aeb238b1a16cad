"""``report``: the pages that resources made of themselves, as files to open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlform.commands.queries import not_recorded
from mlform.commands.session import Session
from mlform.diagnostics import stop

if TYPE_CHECKING:
    from mlform.state.model import Record

PAGES: Final[Mapping[str, str]] = {"text/html": "html", "text/markdown": "md"}
"""What can be looked at, with the ending of its file: a page before a card."""
_FOLDER: Final = "reports"


def report(session: Session, address: str, out: Path | None = None) -> Path:
    """Write the page of what is recorded at an address; return where it is.

    Raises ``DiagnosedError`` where nothing is recorded there, or what is there made no page.
    """
    from mlform.files import write_file
    from mlform.state.model import folder_name

    records = {str(a): r for a, r in session.snapshot().records.items()}
    if address not in records:
        raise not_recorded(address, records)
    pages = _pages(records[address])
    if not pages:
        with_pages = sorted(a for a, r in records.items() if _pages(r))
        others = f" These have one: {', '.join(with_pages)}." if with_pages else ""
        raise stop("No page", f"{address} made no page when it was last applied.{others}")
    try:
        data = session.artifacts.read(str(pages[0]["digest"]))
    except KeyError:
        detail = f"The page of {address} is not in the artifact store any more."
        raise stop("No page", f"{detail} Bring it back with `mlform store pull`.") from None
    ending = PAGES[pages[0]["media_type"]]
    path = out or session.own / _FOLDER / f"{folder_name(address)}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, data)
    return path


def _pages(record: Record) -> list[Mapping[str, Any]]:
    """Return what a record has to look at, pages first."""
    from mlform.refresh.artifacts import artifacts_in

    found = [a for a in artifacts_in(record.attributes) if a["media_type"] in PAGES]
    return sorted(found, key=lambda a: [*PAGES].index(a["media_type"]))

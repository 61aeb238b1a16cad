"""``report``: the pages that resources made of themselves, as files to open."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mlform.commands.queries import not_recorded
from mlform.commands.session import Session
from mlform.diagnostics import stop

PAGE: Final = "text/html"
_FOLDER: Final = "reports"


def report(session: Session, address: str, out: Path | None = None) -> Path:
    """Write the page of what is recorded at an address; return where it is.

    Raises ``DiagnosedError`` where nothing is recorded there, or what is there made no page.
    """
    from mlform.files import write_file
    from mlform.refresh.artifacts import artifacts_in
    from mlform.state.model import folder_name

    records = {str(a): r for a, r in session.snapshot().records.items()}
    if address not in records:
        raise not_recorded(address, records)
    pages = [a for a in artifacts_in(records[address].attributes) if a["media_type"] == PAGE]
    if not pages:
        with_pages = sorted(
            a
            for a, r in records.items()
            if any(it["media_type"] == PAGE for it in artifacts_in(r.attributes))
        )
        others = f" These have one: {', '.join(with_pages)}." if with_pages else ""
        raise stop("No page", f"{address} made no page when it was last applied.{others}")
    try:
        data = session.artifacts.read(str(pages[0]["digest"]))
    except KeyError:
        detail = f"The page of {address} is not in the artifact store any more."
        raise stop("No page", f"{detail} Bring it back with `mlform store pull`.") from None
    path = out or session.own / _FOLDER / f"{folder_name(address)}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, data)
    return path

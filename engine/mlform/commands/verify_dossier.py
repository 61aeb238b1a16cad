"""Check a dossier of mlform that was unpacked into this folder. Needs Python alone."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def check(folder: Path) -> list[str]:
    """Return what is wrong with a dossier, in words."""
    sums = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    wrong = [f"{name} is missing" for name in sums if not (folder / name).is_file()]
    if wrong:
        return wrong
    for name, expected in sums.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != expected or (name.startswith("artifacts/") and not name.endswith(found)):
            wrong.append(f"{name} is not what was exported")
    dossier = json.loads((folder / "dossier.json").read_text(encoding="utf-8"))
    written, head = {}, dossier["state"]["lineage"]
    for number, line in enumerate((folder / "journal.jsonl").read_text("utf-8").splitlines(), 1):
        entry = json.loads(line)
        names = ("sequence", "serial", "run", "at", "operation", "address")
        columns = [entry[name] for name in names]
        detail = json.dumps(entry["detail"], sort_keys=True, separators=(",", ":"))
        text = json.dumps([head, *columns, detail], separators=(",", ":"))
        head = hashlib.sha256(text.encode()).hexdigest()
        if entry["sequence"] != number or head != entry["sha256"]:
            return [*wrong, f"journal entry {number}, or one before it, was altered"]
        several = list((entry["detail"].get("records") or {}).values())
        for record in [entry["detail"].get("record"), *several]:
            if record is not None:
                written[number, record["address"]] = record
    if head != dossier["state"]["journal"]["sha256"]:
        wrong.append("the journal does not end where the dossier says")
    for made in [dossier["resource"], *dossier["made_from"]]:
        record = written.get((made["entry"], made["address"]))
        same = (
            "type",
            "digest",
            "key",
            "arguments",
            "attributes",
            "code",
            "environment",
            "receipt",
        )
        if record is None or any(_told(record[name]) != _told(made[name]) for name in same):
            wrong.append(f"{made['address']} is not what journal entry {made['entry']} says")
    return wrong


def _told(data: Any) -> Any:
    """Return what dossier.json tells: of a secret, that there is one; the journal has a hash."""
    if isinstance(data, dict):
        if data.keys() == {"$sensitive"}:
            return {"$sensitive": True}
        return {name: _told(value) for name, value in data.items()}
    return [_told(value) for value in data] if isinstance(data, list) else data


def main() -> int:
    """Check the folder of this file, and say what came of it."""
    folder = Path(__file__).resolve().parent
    wrong = check(folder)
    for line in wrong:
        sys.stdout.write(f"WRONG: {line}\n")
    if not wrong:
        last = (folder / "journal.jsonl").read_text("utf-8").splitlines()[-1]
        sys.stdout.write(f"Everything fits. Last hash: {json.loads(last)['sha256']}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

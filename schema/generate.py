"""Write every contract in this folder from the code. A test compares them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

from mlform.registry import Registry
from mlform.render import schemas

HERE = Path(__file__).parent


def contracts() -> dict[str, str]:
    """Return each file's name and text."""
    found = {
        "plan.schema.json": schemas.plan(),
        "why.schema.json": schemas.why(),
        "why-not.schema.json": schemas.why_not(),
        "savings.schema.json": schemas.savings(),
        "state.schema.json": schemas.state(),
        "events.schema.json": schemas.events(),
        "diagnostics.schema.json": schemas.diagnostics(),
    }
    for offer in Registry().offers():
        resource = offer.resource
        name = f"{resource.kind}.{resource.type}" if resource.type else resource.kind
        found[f"kinds/{name}.schema.json"] = {
            "title": f'{resource.kind} "{resource.type}"' if resource.type else resource.kind,
            "description": inspect.getdoc(type(resource)) or "",
            "arguments": resource.arguments.model_json_schema(by_alias=True),
            "attributes": resource.attributes.model_json_schema(),
        }
    return {n: json.dumps(s, indent=2, ensure_ascii=False) + "\n" for n, s in found.items()}


def main() -> None:
    """Write the files, and remove those of types that are gone."""
    wanted = contracts()
    (HERE / "kinds").mkdir(exist_ok=True)
    for old in HERE.rglob("*.schema.json"):
        if old.relative_to(HERE).as_posix() not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

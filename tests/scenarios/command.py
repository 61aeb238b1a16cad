"""Run the installed command as a user does, and read what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON objects, one a line."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def data(self) -> Any:
        """The JSON document."""
        return json.loads(self.out)

    def ran(self) -> dict[str, str]:
        """What each step that did something came to, from ``apply -json``."""
        return next(line for line in self.lines if line["type"] == "outcome")["done"]


@dataclass
class Folder:
    """A spec's folder, and commands in it."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("mlform")), *arguments],
            cwd=self.path,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def mlform(self, *arguments: str, expect: int | None = 0) -> Said:
        """Run a command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=280)
        said = Said(process.returncode, out, err)
        assert "Traceback" not in err, err
        if expect is not None:
            assert said.code == expect, f"{arguments}: exit {said.code}\n{out}\n{err}"
        return said

    def actions(self, *arguments: str) -> dict[str, str]:
        """Return what the plan would do: address → action, of what is not a no-op."""
        steps = self.mlform("plan", "-json", *arguments).data["steps"]
        return {s["address"]: s["action"] for s in steps if s["action"] != "no-op"}

    def apply(self, *arguments: str, expect: int | None = 0) -> dict[str, str]:
        """Apply unasked; return what each step that did something came to."""
        return self.mlform("apply", "-auto-approve", "-json", *arguments, expect=expect).ran()

    def edit(self, name: str, before: str, after: str) -> None:
        """Change one piece of text in a file."""
        path = self.path / name
        text = path.read_text()
        assert text.count(before) == 1, f"{before!r} is not once in {name}"
        path.write_text(text.replace(before, after))

    def output(self, name: str) -> str:
        """Return one output."""
        return self.mlform("output", "-raw", name).out.strip()

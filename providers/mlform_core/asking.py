"""Asking a function of the user's own a question while planning: in a process of its own.

So what it imports, prints and changes stays out of the program that plans, and it is read anew
each time by those that run for long.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlform.sdk import ResourceError, code

_PATIENCE: Final = 120
"""Seconds that an answer may take."""


def ask(root: Path, reference: str, params: Mapping[str, Any], argument: str) -> Any:
    """Return what ``reference(**params)`` says, as JSON data. Raises ``ResourceError``."""
    question = json.dumps([str(root), reference, dict(params)])
    command = [sys.executable, "-m", "mlform_core.asking"]
    try:
        said = subprocess.run(  # noqa: S603 - this interpreter
            command, input=question, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        detail = f"{reference} took more than {_PATIENCE} s. It is asked at every plan: be quick."
        raise ResourceError("No answer", detail, argument=argument) from None
    try:
        answer = json.loads(said.stdout)
    except ValueError:
        last = said.stderr.strip().rpartition("\n")[2]
        detail = f"{reference} ended its process (exit {said.returncode}): {last}"
        raise ResourceError("No answer", detail, argument=argument) from None
    if "failed" in answer:
        raise ResourceError(*answer["failed"], argument=argument)
    return answer["said"]


def answered(root: Path, reference: str, params: Mapping[str, Any]) -> Any:
    """Call the function here and return what it says as JSON data, as ``ask`` does."""
    return json.loads(json.dumps(code.load(root, reference)(**params), default=str))


def main() -> None:
    """Answer one question on standard input; what the function prints goes to standard error."""
    out, sys.stdout = sys.stdout, sys.stderr
    root, reference, params = json.load(sys.stdin)
    try:
        answer: dict[str, Any] = {"said": answered(Path(root), reference, params)}
    except ResourceError as error:
        answer = {"failed": [error.summary, error.detail]}
    except Exception as error:  # noqa: BLE001 - whatever the user's function raises is told
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
        own = [f for f in frames if Path(f.filename).is_relative_to(root)]
        at = "".join(f" ({Path(f.filename).relative_to(root)}:{f.lineno})" for f in own[-1:])
        detail = f"{reference} raised {type(error).__name__}: {error}{at}"
        answer = {"failed": ["Function failed", detail]}
    json.dump(answer, out)


if __name__ == "__main__":
    main()

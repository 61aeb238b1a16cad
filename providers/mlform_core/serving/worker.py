"""A process that predicts: ``python -m mlform_core.serving.worker FOLDER FD VIEW [pickle]``.

VIEW is the folder of the feature view that makes features of what is asked, "" if there is none.

It answers frames on a socket: four bytes of length, then the content. First it says whether it
is ready, as JSON. A request is the columns of some rows as JSON; an answer begins with a byte:

- ``PREDICTED``: four bytes of width (1 where a prediction is one number), float64 numbers;
- ``VIEWED``: four bytes of how many bytes are as above, these, and as JSON the features by name
  and what came of looking up, ``[[input, outcome, rows], …]``;
- ``REFUSED``: why the rows are at fault;
- ``FAILED``: why the model is, or the view;
- ``UNABLE``: why there is no answer now, and may be one later.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from mlform.sdk import ResourceError
from mlform_core.serving import prepared
from mlform_core.serving.runtime import Predictor

if TYPE_CHECKING:
    from mlform_core.online import Features, View

LENGTH: Final = struct.Struct("<I")
PREDICTED, VIEWED, REFUSED, FAILED, UNABLE = b"p", b"v", b"r", b"f", b"u"


def main() -> None:
    """Load, say so, and predict until the server is no more."""
    folder, descriptor, beside, *more = sys.argv[1:]
    # Ctrl-C in a terminal reaches the whole group; the server tells its workers when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(descriptor)) as server:
        try:
            predictor = prepared.opened(Path(folder), allow_pickle=bool(more))
            answer = partial(_answer, predictor)
            if beside:
                from mlform_core.serving import features

                names, required = prepared.needed(Path(folder))
                view = features.opened(Path(beside), names)
                answer = partial(_viewed, predictor, view, required)
        except ResourceError as error:
            said = {"summary": error.summary, "detail": error.detail, "argument": error.argument}
            _send(server, orjson.dumps(said))
            sys.exit(str(error))
        gc.collect()
        gc.freeze()  # the model stays: collections need not look at it again
        _send(server, b"{}")
        while (frame := _received(server)) is not None:
            _send(server, answer(orjson.loads(frame)))


def _answer(predictor: Predictor, columns: dict[str, list[Any]]) -> bytes:
    import numpy as np

    try:
        found = predictor.predict(columns)
    except ValueError as error:
        return REFUSED + str(error).encode()
    except Exception as error:  # noqa: BLE001 - a model is foreign code: it may raise anything
        traceback.print_exception(error, file=sys.stderr)
        return FAILED + f"{type(error).__name__}: {error}".encode()
    if not np.isfinite(found).all():
        return FAILED + b"a prediction is no finite number"
    width = found.shape[1] if found.ndim == 2 else 1
    return PREDICTED + LENGTH.pack(width) + np.ascontiguousarray(found, dtype="<f8").tobytes()


def _viewed(
    predictor: Predictor, view: View, required: Sequence[str], columns: dict[str, list[Any]]
) -> bytes:
    """Answer with predictions of the features that a view makes of raw columns."""
    try:
        made = view.features(columns)
    except Exception as error:  # noqa: BLE001 - a transform is foreign code: it may raise anything
        return _fault(error)
    for name in required:
        if None in made.columns[name]:
            return _gap(name, made, columns)
    answer = _answer(predictor, made.columns)
    if answer[:1] != PREDICTED:
        return answer
    looked = [[*what, rows] for what, rows in made.looked.items()]
    beside = orjson.dumps([made.columns, looked])
    return VIEWED + LENGTH.pack(len(answer) - 1) + answer[1:] + beside


def _fault(error: Exception) -> bytes:
    """Return the answer to rows of which a view made nothing; what is ours is logged."""
    from mlform_core.online import fault

    whose = fault(error)
    if whose == "rows":
        return REFUSED + (error.detail if isinstance(error, ResourceError) else str(error)).encode()
    traceback.print_exception(error, file=sys.stderr)
    kind = UNABLE if whose == "moment" else FAILED
    return kind + f"the feature view: {type(error).__name__}: {error}".encode()


def _gap(name: str, made: Features, columns: dict[str, list[Any]]) -> bytes:
    """Return the answer where a feature is missing that the model takes no missing value of.

    It is ours where all was asked and what is looked up is too old.
    """
    place = made.columns[name].index(None)
    said = f'"{name}" is missing at {place}, where the model takes no missing value'
    old = [table for (table, outcome), rows in made.looked.items() if outcome == "old" and rows]
    if not old or any(values[place] is None for values in columns.values()):
        return REFUSED + said.encode()
    said = f"{said}: what is known of {', '.join(old)} is too old"
    sys.stderr.write(f"the feature view: {said}\n")
    return UNABLE + said.encode()


def _send(server: socket.socket, data: bytes) -> None:
    server.sendall(LENGTH.pack(len(data)) + data)


def _received(server: socket.socket) -> bytes | None:
    head = _exactly(server, LENGTH.size)
    return None if head is None else _exactly(server, LENGTH.unpack(head)[0])


def _exactly(server: socket.socket, size: int) -> bytes | None:
    parts, left = [], size
    while left:
        try:
            part = server.recv(min(left, 1 << 20))
        except ConnectionResetError:
            return None
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    os.umask(0o077)
    main()

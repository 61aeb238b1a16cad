"""Messages between the engine and a worker: JSON, one to a line."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any


def send(sock: socket.socket, message: Mapping[str, Any]) -> None:
    """Send one message. Raises ``OSError`` if nobody is there."""
    sock.sendall(json.dumps(message).encode() + b"\n")


def tell(sock: socket.socket, message: Mapping[str, Any]) -> None:
    """Send a message to whoever takes it with ``told``, and not a byte more. Raises ``OSError``."""
    data = json.dumps(message).encode()
    sock.sendall(len(data).to_bytes(4, "big") + data)


def told(sock: socket.socket) -> dict[str, Any] | None:
    """Wait for a message; ``None`` if the other side is gone."""
    size = sock.recv(4, socket.MSG_WAITALL)
    data = sock.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL) if size else b""
    message: dict[str, Any] | None = json.loads(data) if data else None
    return message


class Reader:
    """Takes messages from a socket as they come; ``ended`` once the other side is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ended = False
        self._rest = bytearray()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Give what has come, without waiting."""
        while self._receive(socket.MSG_DONTWAIT):
            yield from self._whole()

    def one(self) -> dict[str, Any] | None:
        """Wait for one message, the first on this socket; ``None`` if the other side is gone."""
        while self._receive(0):
            for message in self._whole():
                return message
        return None

    @property
    def more(self) -> bool:
        """Whether something after the last message given has come."""
        return bool(self._rest)

    def _receive(self, flags: int) -> bool:
        with contextlib.suppress(BlockingIOError):
            try:
                data = self.sock.recv(1 << 16, flags)
            except ConnectionError:
                data = b""
            self.ended = not data
            self._rest += data
            return bool(data)
        return False

    def _whole(self) -> Iterator[dict[str, Any]]:
        while (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            yield json.loads(line)

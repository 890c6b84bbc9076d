"""Waiting for the network and for other threads at once, instead of looking every millisecond."""

import contextlib
import queue
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any


class Doorbell:
    """Lets a thread wait until a connection can be read, or another thread rings."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)

    def ring(self) -> None:
        """Wake the thread that waits, or let the next wait be none."""
        # full: it rings already; closed: nobody waits any more
        with contextlib.suppress(OSError):
            self._outside.send(b"\0")

    def wait(self, connection: socket.socket | None, *, seconds: float) -> None:
        """Wait until the connection can be read, somebody rings, or the time is over."""
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return
        sources = [self._inside, *([] if connection is None else [connection])]
        with contextlib.suppress(OSError, ValueError):
            readable, _, _ = select.select(sources, [], [], seconds)
            if self._inside in readable:
                self._inside.recv(4096)

    def close(self) -> None:
        """Let go of its two sockets."""
        self._inside.close()
        self._outside.close()


class RingingQueue(queue.Queue[Any]):
    """Queue that tells when something was put into it."""

    def __init__(self, told: Callable[[Any], None]) -> None:
        super().__init__()
        self._told = told

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item into the queue, and tell of it."""
        super().put(item, block, timeout)
        self._told(item)

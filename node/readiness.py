"""Telling a service manager that the node is ready and alive (sd_notify of systemd, one datagram).

Without such a manager nothing is told. The socket is named by ``NOTIFY_SOCKET``; a leading ``@``
stands for Linux's abstract namespace.
"""

import os
import socket
import time

SOCKET, WATCHDOG = "NOTIFY_SOCKET", "WATCHDOG_USEC"
READY, ALIVE = "READY=1", "WATCHDOG=1"
MOST_OFTEN = 3
"""So often within its time the watchdog is answered."""


def tell(state: str) -> None:
    """Tell the manager; if it does not listen, the node goes on all the same."""
    address = os.environ.get(SOCKET, "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall(state.encode())
    except OSError:
        return


class Watchdog:
    """Answers the manager's watchdog as often as it needs; see ``WatchdogSec``."""

    def __init__(self) -> None:
        text = os.environ.get(WATCHDOG, "")
        seconds = int(text) / 1e6 if text.isdecimal() else 0.0
        self._pause_seconds = seconds / MOST_OFTEN
        self._next_at = 0.0

    def answer(self) -> None:
        """Say that all is well, unless it was said a moment ago."""
        now = time.monotonic()
        if self._pause_seconds and now >= self._next_at:
            self._next_at = now + self._pause_seconds
            tell(ALIVE)


def environment_without() -> dict[str, str]:
    """Give the environment for a child that must not speak for its parent."""
    return {key: value for key, value in os.environ.items() if key not in (SOCKET, WATCHDOG)}

"""A service manager is told that the node is ready and alive, where there is one."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node import readiness


@contextmanager
def manager(address: str, patch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if address.startswith("@") else address)
        listener.settimeout(10)
        patch.setenv(readiness.SOCKET, address)
        yield listener


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_hears_what_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool
) -> None:
    address = f"@midline-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with manager(address, monkeypatch) as listener:
        readiness.tell(readiness.READY)
        assert listener.recv(100) == b"READY=1"


def test_nobody_or_a_deaf_manager_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(readiness.SOCKET, raising=False)
    readiness.tell(readiness.READY)
    monkeypatch.setenv(readiness.SOCKET, str(tmp_path / "nobody"))
    readiness.tell(readiness.READY)


def test_the_watchdog_is_answered_as_often_as_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with manager(str(tmp_path / "notify"), monkeypatch) as listener:
        monkeypatch.setenv(readiness.WATCHDOG, "60000000")
        watchdog = readiness.Watchdog()
        for _ in range(5):
            watchdog.answer()
        assert listener.recv(100) == b"WATCHDOG=1"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.recv(100)
        monkeypatch.delenv(readiness.WATCHDOG)
        readiness.Watchdog().answer()
        with pytest.raises(BlockingIOError):
            listener.recv(100)


def test_a_child_does_not_speak_for_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(readiness.SOCKET, "/run/notify")
    monkeypatch.setenv("HOME", "/home")
    environment = readiness.environment_without()
    assert readiness.SOCKET not in environment
    assert environment["HOME"] == "/home"

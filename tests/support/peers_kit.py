"""The kit of third-party DICOM software beside the repository, and the programs it installs."""

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.peers import Peer
from tests.support.pacs import free_port
from tests.support.waiting import eventually

PEERS = Path(__file__).resolve().parents[3] / "shared" / "peers" / "peers"
NOT_INSTALLED = "is not there"
"""How the kit says that one of its components was never installed."""


def peers(*words: object, tries: int = 1) -> list[Any]:
    """Run a command of the kit and give back what it printed, line by line, as JSON.

    Skips the test where the kit is absent, or lacks what the command needs. A command that fails
    is repeated until it has been tried so often.
    """
    if not PEERS.exists():
        pytest.skip("the peers' kit is not beside this checkout")
    done = subprocess.run([PEERS, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode and NOT_INSTALLED in done.stderr:
        pytest.skip(done.stderr.strip())
    if done.returncode and tries > 1:
        return peers(*words, tries=tries - 1)
    # the validators' verdict is in what they print
    assert done.returncode == 0 or words[0] == "validate", done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def started(server: str, name: str, *words: object) -> Iterator[tuple[Peer, dict[str, Any]]]:
    """Run a server of the kit; where it is called, and what the kit says of it."""
    described = peers(server, "start", "--name", name, *words)[0]
    try:
        yield Peer(described["aet"], "127.0.0.1", described["dicom_port"]), described
    finally:
        peers(server, "stop", "--name", name)


def program_of_dcmtk(name: str) -> Path:
    """Find a program of DCMTK, not pynetdicom's of the same name."""
    path = Path("/usr/bin") / name
    if not path.exists():
        pytest.skip(f"{path} of DCMTK is not installed; `peers install` does it")
    return path


def dcmtk(program: str, *words: object) -> bytes:
    """Run a program of DCMTK; give back what it printed."""
    command = [program_of_dcmtk(program), *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def storescp(folder: Path, *words: object, port: int = 0) -> Iterator[Peer]:
    """Run DCMTK's storescp with options that the kit has not; the folder gets what it takes."""
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    command = [program_of_dcmtk("storescp"), "-aet", "STORESCP", "-od", folder, *words, port]
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TCP_NODELAY": "1"},
    ) as process:
        try:
            eventually(lambda: _is_open(port), seconds=10)
            yield Peer("STORESCP", "127.0.0.1", port)
        finally:
            process.terminate()


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False

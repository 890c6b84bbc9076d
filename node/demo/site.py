"""The demo's node: a folder of its own, a settings file, and ``midline serve`` as a process."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from config.errors import MidlineError, PeerError, UsageError
from config.settings import Settings, load_settings
from node.peers import Caller, Peer, Timeouts, echo
from storage.database import Database

MARK = ".midline-demo"
"""Lies in every folder that a demo made, and may therefore empty."""
AE_TITLE = "MIDLINE"
SENDER = "DEMOCT"
LOG, SETTINGS, DATA = "node.log", "settings.toml", "node"
START_SECONDS = 120.0
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.1
CALLER = Caller(
    SENDER,
    Timeouts(connection_seconds=5, acse_seconds=30, dimse_seconds=60, network_seconds=60),
)


@dataclass(frozen=True)
class DemoNode:
    """A node that runs.

    Attributes
    ----------
    peer
        Where it receives.
    settings
        What it was started with.
    process
        Its supervisor.
    log
        What it says.
    """

    peer: Peer
    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Make sure that it still runs.

        Raises
        ------
        MidlineError
            If it ended.
        """
        code = self.process.poll()
        if code is not None:
            raise MidlineError(f"the node ended with code {code}; {self.log} says why")


def claim(folder: Path) -> None:
    """Make the demo's folder, or empty the one that an earlier demo made.

    Raises
    ------
    UsageError
        If there is something in it that no demo made.
    """
    try:
        if folder.exists():
            if not folder.is_dir():
                raise UsageError(f"{folder} is no folder")
            if any(folder.iterdir()) and not (folder / MARK).is_file():
                raise UsageError(
                    f"{folder} is not empty, and no demo made it; choose another one with --out"
                )
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / MARK).write_text("Made by midline demo, which may delete this folder.\n")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror})") from error


def write_settings(folder: Path, *, destination: Peer, port: int = 0) -> Path:
    """Write the settings of the demo's node: one destination, a short quiet time.

    Parameters
    ----------
    folder
        Gets the file and the node's data.
    destination
        Gets the results.
    port
        To listen on; 0 for a free one.
    """
    path = folder / SETTINGS
    lines = [
        "[node]",
        f'ae_title = "{AE_TITLE}"',
        f"port = {port or free_port()}",
        "[storage]",
        f"folder = {json.dumps(str((folder / DATA).resolve()))}",
        "reserve_bytes = 268_435_456",
        "[completion]",
        "quiet_after_release_seconds = 1.0",
        "[[destinations]]",
        'name = "pacs"',
        f'ae_title = "{destination.ae_title}"',
        f'host = "{destination.host}"',
        f"port = {destination.port}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@contextmanager
def running_node(config: Path) -> Iterator[DemoNode]:
    """Run ``midline serve`` with a settings file; end it by SIGTERM.

    Raises
    ------
    MidlineError
        If it does not end in good order.
    """
    settings = load_settings(config)
    peer = Peer(settings.node.ae_title, settings.node.host, settings.node.port)
    command = [sys.executable, "-m", "node.cli", "--config", str(config), "serve"]
    log = config.with_name(LOG)
    with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as run:
        node = DemoNode(peer, settings, run, log)
        try:
            yield node
        except BaseException:
            _end(node)
            raise
        code = _end(node)
    if code != 0:
        raise MidlineError(f"the node ended with code {code} when asked to; {log} says why")


def wait_until_ready(node: DemoNode) -> None:
    """Wait until the node answers C-ECHO, and until a worker waits for studies.

    Raises
    ------
    MidlineError
        If it ends, or is not ready in time.
    """
    _wait(lambda: _answers(node), node, "did not answer C-ECHO")
    database = Database(node.settings.storage.url)
    try:
        _wait(lambda: _has_worker(database), node, "started no worker")
    finally:
        database.close()


def _wait(condition: Callable[[], bool], node: DemoNode, complaint: str) -> None:
    until = time.monotonic() + START_SECONDS
    while not condition():
        node.check()
        if time.monotonic() > until:
            raise MidlineError(
                f"the node {complaint} within {START_SECONDS:.0f} s; {node.log} says why"
            )
        time.sleep(LOOK_SECONDS)


def _answers(node: DemoNode) -> bool:
    # plain TCP first: an association that is refused is no news while the node starts
    with socket.socket() as probe:
        if probe.connect_ex((node.peer.host, node.peer.port)) != 0:
            return False
    try:
        echo(node.peer, caller=CALLER)
    except PeerError:
        return False
    return True


def _has_worker(database: Database) -> bool:
    with database.read() as transaction:
        now = transaction.now()
        alive = transaction.workers.alive(now=now, timeout=timedelta(seconds=START_SECONDS))
    return any(worker.role == "analyse" for worker in alive)


def _end(node: DemoNode) -> int:
    """Ask the node to end, and wait for it."""
    node.process.send_signal(signal.SIGTERM)
    try:
        return node.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        node.process.kill()
        return node.process.wait()


def free_port() -> int:
    """Find a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A node as a site runs it: a process group started with ``midline serve``."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import PeerError
from node.peers import Caller, Peer, Timeouts, echo
from tests.support.pacs import free_port
from tests.support.waiting import eventually

TIMEOUTS = Timeouts(connection_seconds=2, acse_seconds=5, dimse_seconds=30, network_seconds=30)
START_SECONDS = 90.0
"""Loading torch on a busy machine takes its time."""


@dataclass
class Service:
    """A running ``midline serve`` and its settings file."""

    config: Path
    peer: Peer
    process: subprocess.Popen[bytes]

    def children(self) -> dict[int, str]:
        """Process numbers of its roles."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        roles = {}
        for pid in map(int, path.read_text().split()):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            roles[pid] = next((w for w in words if w in ("listen", "analyse", "deliver")), "?")
        return roles

    def command(self, *words: str) -> Any:
        """Run a command of the same installation, and read its JSON."""
        done = subprocess.run(
            [*program(self.config), *words, "--json"], capture_output=True, check=True, text=True
        )
        return json.loads(done.stdout)

    def answers(self) -> bool:
        """Whether it answers C-ECHO."""
        try:
            return echo(self.peer, caller=Caller("CT1", TIMEOUTS)) > 0
        except PeerError:
            return False

    def end(self) -> int:
        """End it as a service manager does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def program(config: Path) -> list[str]:
    """Command line of this installation."""
    return [sys.executable, "-m", "node.cli", "--config", str(config)]


def write_settings(folder: Path, destination: Peer, **tables: dict[str, Any]) -> tuple[Path, Peer]:
    """Write a settings file for a node on a free port with one destination.

    Parameters
    ----------
    folder
        Gets the file and the node's data.
    destination
        Gets the results.
    **tables
        Further tables, or values that replace the defaults of a test.
    """
    peer = Peer("MIDLINE", "127.0.0.1", free_port())
    given: dict[str, dict[str, Any]] = {
        "node": {"port": peer.port},
        "storage": {"folder": str(folder / "data"), "reserve_bytes": 0},
        "completion": {"quiet_after_release_seconds": 0.5, "quiet_without_release_seconds": 20.0},
        "analysis": {"device": "cpu", "threads": 1},
        "delivery": {"first_retry_seconds": 0.5, "longest_retry_seconds": 2.0},
        "liveness": {"beat_seconds": 0.5, "dead_after_seconds": 3.0},
    }
    for name, values in tables.items():
        given.setdefault(name, {}).update(values)
    lines = []
    for name, values in given.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += ["[[destinations]]", 'name = "pacs"', f'ae_title = "{destination.ae_title}"']
    lines += [f'host = "{destination.host}"', f"port = {destination.port}"]
    path = folder / "midline.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, peer


def start_service(config: Path, peer: Peer, log: Path) -> Service:
    """Start a node, and wait until it answers C-ECHO."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*program(config), "serve"],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    service = Service(config, peer, process)
    try:
        eventually(service.answers, seconds=START_SECONDS)
    except BaseException:
        service.end()
        raise
    return service


@contextmanager
def running_service(folder: Path, destination: Peer, **tables: dict[str, Any]) -> Iterator[Service]:
    """Run a node for a while."""
    config, peer = write_settings(folder, destination, **tables)
    service = start_service(config, peer, folder / "node.log")
    try:
        yield service
    finally:
        if service.end() != 0:
            raise AssertionError((folder / "node.log").read_text()[-4000:])

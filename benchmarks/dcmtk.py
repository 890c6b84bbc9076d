"""DCMTK and Orthanc beside the node: senders that tell when they did what, and receivers.

The senders' own lines are stamped (DCMTK's logger), so that the start of a process, the set-up of
an association and the transfer are told apart.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.peers import Peer

KIT = Path(__file__).resolve().parents[2] / "shared" / "peers" / "peers"
START_SECONDS = 30.0
LOOK_SECONDS = 0.02
SENDERS = {
    "storescu": ("/usr/bin/storescu", "-R", "-xe", "-nh"),
    "dcmsend": ("/usr/bin/dcmsend", "-dn", "-nuc", "-nh"),
}
LOGGING = """\
log4cplus.rootLogger = INFO, console
log4cplus.appender.console = log4cplus::ConsoleAppender
log4cplus.appender.console.logToStdErr = true
log4cplus.appender.console.layout = log4cplus::PatternLayout
log4cplus.appender.console.layout.ConversionPattern = %D{%s %Q} %m%n
"""
"""Seconds since 1970, then milliseconds with their fraction."""


class MissingError(Exception):
    """A program that is not installed here; the message says which."""


@dataclass(frozen=True)
class Transfer:
    """How one sending went.

    Attributes
    ----------
    stored
        Objects that the receiver answered with Success.
    seconds
        From the first C-STORE request to the last response, over all associations.
    setup_seconds
        From the association request to its acceptance, the median of the associations.
    process_seconds
        All of it, with the start of the senders.
    ended_at
        When the last response came, in seconds since 1970.
    """

    stored: int
    seconds: float
    setup_seconds: float
    process_seconds: float
    ended_at: float

    @property
    def per_second(self) -> float:
        """Objects a second."""
        return self.stored / self.seconds if self.seconds else 0.0


def send(
    shares: Sequence[Sequence[Path]],
    to: Peer,
    *,
    program: str = "storescu",
    nodelay: bool = True,
    calling_ae_title: str = "CT1",
) -> Transfer:
    """Send files, each share on an association of its own, side by side.

    Raises
    ------
    MissingError
        If DCMTK is not installed.
    RuntimeError
        If an object was not stored.
    """
    path, *options = SENDERS[program]
    if not Path(path).exists():
        raise MissingError(f"{path} of DCMTK is not installed")
    environment = os.environ | {"TCP_NODELAY": str(int(nodelay))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log.cfg").write_text(LOGGING, encoding="utf-8")
        line = [path, *options, "-lc", str(folder / "log.cfg"), "-to", "10", "-td", "120"]
        line += ["-aet", calling_ae_title, "-aec", to.ae_title, to.host, str(to.port)]
        with contextlib.ExitStack() as open_files:
            logs = [folder / f"{number}.log" for number in range(len(shares))]
            begun = time.perf_counter()
            senders = [
                subprocess.Popen(
                    [*line, *map(str, share)],
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=open_files.enter_context(log.open("wb")),
                )
                for share, log in zip(shares, logs, strict=True)
            ]
            for sender in senders:
                sender.wait()
        process_seconds = time.perf_counter() - begun
        said = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    done = read_transfer(said, process_seconds)
    if done.stored < sum(map(len, shares)):
        raise RuntimeError(f"{to} stored {done.stored} of {sum(map(len, shares))} objects")
    return done


def read_transfer(said: Sequence[str], process_seconds: float) -> Transfer:
    """Make a transfer of the stamped lines of its senders."""
    begun, ended, setups, stored = [], [], [], 0
    for text in said:
        asked = _moments(text, "Requesting Association")
        accepted = _moments(text, "Association Accepted")
        requests = _moments(text, r"Sending (?:C-STORE|Store) Request")
        answers = _moments(text, r"Received (?:C-STORE|Store) Response \((?:Success|Warning)")
        begun += requests[:1]
        ended += answers[-1:]
        stored += len(answers)
        setups += [there - gone for gone, there in zip(asked, accepted, strict=False)]
    if not begun or not ended:
        return Transfer(0, 0.0, 0.0, process_seconds, 0.0)
    setups.sort()
    setup_seconds = setups[len(setups) // 2] if setups else 0.0
    return Transfer(stored, max(ended) - min(begun), setup_seconds, process_seconds, max(ended))


def _moments(text: str, event: str) -> list[float]:
    stamped = re.finditer(rf"^(\d+) ([\d.]+) {event}", text, re.MULTILINE)
    return [int(found[1]) + float(found[2]) / 1000 for found in stamped]


@contextmanager
def storescp(folder: Path, *, nodelay: bool = True) -> Iterator[Peer]:
    """Run DCMTK's storescp, a process for each association; the folder gets what it takes."""
    if not Path("/usr/bin/storescp").exists():
        raise MissingError("/usr/bin/storescp of DCMTK is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    line = ["/usr/bin/storescp", "--fork", "-pm", "-aet", "STORESCP", "-od", str(folder), str(port)]
    with subprocess.Popen(
        line,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TCP_NODELAY": str(int(nodelay))},
    ) as process:
        try:
            wait_for_port(port)
            yield Peer("STORESCP", "127.0.0.1", port)
        finally:
            process.terminate()


@contextmanager
def orthanc(name: str, *, nodelay: bool = True) -> Iterator[Peer]:
    """Run Orthanc from the kit of third-party software beside the repository.

    Raises
    ------
    MissingError
        If there is no kit, or no Orthanc.
    """
    kit("pacs", "stop", "--name", name)  # left by a run that was killed
    started = kit("pacs", "start", "--name", name, "--nodelay", int(nodelay))
    try:
        yield Peer(started["aet"], "127.0.0.1", started["dicom_port"])
    finally:
        kit("pacs", "stop", "--name", name)
        # it stays there with all that was received
        home = os.environ.get("PEERS_HOME", str(Path(tempfile.gettempdir()) / "midline-peers"))
        shutil.rmtree(Path(home) / "servers" / name, ignore_errors=True)


@contextmanager
def postgresql(name: str) -> Iterator[str]:
    """Run a PostgreSQL of the kit; its URL."""
    kit("postgres", "stop", "--name", name)  # left by a run that was killed
    url = kit("postgres", "start", "--name", name)["url"]
    try:
        yield url
    finally:
        kit("postgres", "stop", "--name", name)


def kit(*words: object) -> dict[str, Any]:
    """Run a command of the kit; what it printed.

    Raises
    ------
    MissingError
        If there is no kit, or it lacks the component.
    """
    if not KIT.exists():
        raise MissingError("the kit of third-party software is not beside this checkout")
    done = subprocess.run([KIT, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingError(f"the kit cannot {' '.join(map(str, words[:2]))}: {done.stderr.strip()}")
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Wait until somebody listens on a port of this machine."""
    until = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > until:
            raise RuntimeError(f"nobody listens on port {port}")
        time.sleep(LOOK_SECONDS)

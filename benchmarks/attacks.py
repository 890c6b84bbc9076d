"""What attacks on the port do to pynetdicom as it ships, and to the node: side by side.

::

    python -m benchmarks.attacks --out benchmarks/results

Each attack meets both servers, each in a fresh process whose growth at its peak is measured. A good
peer verifies and stores meanwhile, again and again, each time on a new association.
"""

import argparse
import contextlib
import json
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import build_context

from benchmarks.attackers import ATTACKS, OVER_TLS, Target
from benchmarks.inference_report import describe_machine
from benchmarks.victims import AE_TITLE, CT_IMAGE, LARGEST_BYTES, NETWORK_SECONDS, VERIFICATION
from config import log
from config.errors import MidlineError
from config.settings import Settings, TLSSettings
from node.caller import caller_of
from node.peers import Caller, Peer, Timeouts, associated
from tests.support.certificates import make_certificates
from tests.support.ct_series import head_series, stack

VICTIMS = ("shipped", "node")
MOST_SECONDS = 45.0
START_SECONDS = 60.0
AT_LEAST_TRIES = 3
GOOD_TIMEOUTS = Timeouts(connection_seconds=3, acse_seconds=3, dimse_seconds=3, network_seconds=3)
PAUSE_SECONDS = 0.2
KIB = 1024


@dataclass(frozen=True)
class Line:
    """One attack on one server.

    Attributes
    ----------
    attack, victim
        Which.
    growth_mib
        Peak of resident memory above what it was before, MiB.
    seconds
        Until the attack was over; at most `MOST_SECONDS`.
    served, tries
        Of how many tries of the good peer both C-ECHO and C-STORE were answered with Success.
    outcome
        What came of the attack, in words.
    """

    attack: str
    victim: str
    growth_mib: float
    seconds: float
    served: int
    tries: int
    outcome: str


class GoodPeer(threading.Thread):
    """A modality that verifies and stores while others attack."""

    def __init__(self, peer: Peer, caller: Caller) -> None:
        super().__init__(daemon=True)
        self.served = self.tries = 0
        self._peer, self._caller = peer, caller
        self._image = head_series(stack([0.0, 5.0], size=32, pixel_mm=7.0))[0]
        self._is_over = threading.Event()

    def run(self) -> None:
        """Try again and again."""
        while not self._is_over.is_set() or self.tries < AT_LEAST_TRIES:
            is_served = self.is_served()
            self.tries += 1
            self.served += is_served
            self._is_over.wait(PAUSE_SECONDS)

    def is_served(self) -> bool:
        """Verify and store once."""
        contexts = [build_context(VERIFICATION), build_context(CT_IMAGE, ExplicitVRLittleEndian)]
        with (
            contextlib.suppress(MidlineError, RuntimeError, ValueError),
            associated(self._peer, contexts, caller=self._caller) as association,
        ):
            answers = (association.send_c_echo(), association.send_c_store(self._new_image()))
            return all(each.get("Status") == 0 for each in answers)
        return False

    def end(self) -> None:
        """Stop trying."""
        self._is_over.set()
        self.join()

    def _new_image(self) -> Dataset:
        self._image.SOPInstanceUID = generate_uid()
        self._image.file_meta.MediaStorageSOPInstanceUID = self._image.SOPInstanceUID
        return self._image


@contextlib.contextmanager
def running(victim: str, folder: Path, certificates: Path | None) -> Iterator[tuple[int, int]]:
    """Run a victim; its process and its port."""
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.victims", victim, str(folder)]
    log_file = (folder / "log").open("wb")
    process = subprocess.Popen(
        [*command, "-" if certificates is None else str(certificates)],
        stdout=log_file,
        stderr=log_file,
    )
    try:
        until = time.monotonic() + START_SECONDS
        while not (folder / "port").exists() or not (folder / "port").read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{victim} did not start: {(folder / 'log').read_text()}")
            time.sleep(PAUSE_SECONDS)
        yield process.pid, int((folder / "port").read_text())
    finally:
        process.kill()
        process.wait()
        log_file.close()


def memory_mib(pid: int, field: str) -> float:
    """Resident memory of a process now (``VmRSS``) or at its peak (``VmHWM``), MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / KIB


def measure(attack: str, victim: str, folder: Path, certificates: Path) -> Line:
    """Attack one server once."""
    over_tls = attack in OVER_TLS
    tls = TLSSettings(
        certificate=certificates / "ct1.pem",
        private_key=certificates / "ct1.key",
        authorities=certificates / "ca.pem",
    )
    context = caller_of(Settings(tls=tls)).tls if over_tls else None
    with running(victim, folder, certificates if over_tls else None) as (pid, port):
        peer = Peer(AE_TITLE, "127.0.0.1", port, tls=over_tls)
        good = GoodPeer(peer, Caller("CT1", GOOD_TIMEOUTS, context))
        if not good.is_served():
            raise RuntimeError(f"{victim} does not serve the good peer before {attack}")
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
        before, begun = memory_mib(pid, "VmRSS"), time.monotonic()
        good.start()
        target = Target(peer, folder / "kept", begun + MOST_SECONDS)
        outcome = ATTACKS[attack](target)
        seconds = time.monotonic() - begun
        good.end()
        growth = memory_mib(pid, "VmHWM") - before
    return Line(attack, victim, growth, seconds, good.served, good.tries, outcome)


def markdown(lines: Sequence[Line]) -> str:
    """Make the table."""
    columns = ("MiB", "s", "others served", "outcome")
    titles = [f"{victim}: {column}" for victim in VICTIMS for column in columns]
    rows = [f"| Attack | {' | '.join(titles)} |", f"|---{'|--:|--:|--:|---' * len(VICTIMS)}|"]
    for attack in dict.fromkeys(line.attack for line in lines):
        cells = [attack]
        for victim in VICTIMS:
            line = next(each for each in lines if (each.attack, each.victim) == (attack, victim))
            cells += [
                f"{max(line.growth_mib, 0):.0f}",
                f"{line.seconds:.1f}",
                f"{line.served}/{line.tries}",
                line.outcome,
            ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def report(lines: Sequence[Line]) -> str:
    """Say how it was measured, and what came out."""
    machine = describe_machine()
    how = (
        f"`python -m benchmarks.attacks` on {machine.cores} cores of {machine.cpu}, load "
        f"{machine.load:g} at the end. `shipped` is pynetdicom {version('pynetdicom')}, `node` the "
        "listener. MiB: growth of resident memory at its peak. s: until the attack was over, at "
        f"most {MOST_SECONDS:g}. Others served: tries of a good peer from another address, C-ECHO "
        "and C-STORE on a new association each time, with "
        f"{GOOD_TIMEOUTS.acse_seconds:g} s of patience. Both servers end silent associations after "
        f"{NETWORK_SECONDS:g} s; the node takes images of at most {LARGEST_BYTES >> 20} MiB."
    )
    return f"# Attacks on the port\n\n{how}\n\n{markdown(lines)}\n"


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the report, Markdown and JSON")
    parser.add_argument("--only", help="attacks with this in their names")
    options = parser.parse_args()
    log.configure("CRITICAL")
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates = make_certificates(folder / "certificates").folder
        for number, attack in enumerate(ATTACKS):
            if options.only and options.only not in attack:
                continue
            for victim in VICTIMS:
                line = measure(attack, victim, folder / f"{victim}{number}", certificates)
                print(line, file=sys.stderr, flush=True)
                lines.append(line)
    text = report(lines)
    print(text)
    if options.out is not None:
        machine = describe_machine()
        hardware = f"{machine.cpu.lower().replace(' ', '-')}-{machine.cores}cores"
        stem = options.out / f"attacks_{hardware}_{datetime.now(UTC):%Y%m%d}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_suffix(".md").write_text(text, encoding="utf-8")
        content = json.dumps([asdict(line) for line in lines], indent=1)
        stem.with_suffix(".json").write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

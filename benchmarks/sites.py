"""A node to measure, as a site runs it: its roles as processes, in a folder of its own.

Settings are the product's, apart from the port, the folder, the destination, and what a benchmark
says. Each role is started by itself, so that a benchmark can have several of one, or none.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from benchmarks.dcmtk import free_port, wait_for_port
from config.settings import Settings, load_settings
from node.peers import Peer
from storage.database import Database
from storage.records import DeliveryRecord, JobRecord

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
START_SECONDS = 120.0
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.05
MOST = 1_000_000
KIB = 1024


@dataclass(frozen=True)
class Passage:
    """One study on its way through the node; moments in seconds since 1970.

    Attributes
    ----------
    last_image, queued, started, finished
        The last image was stored, its job was entered, a worker began it, its results were
        recorded.
    sent
        Its last object was stored by the destination; None if nothing was sent.
    worker
        Which one.
    """

    study_instance_uid: str
    last_image: float
    queued: float
    started: float
    finished: float
    sent: float | None
    worker: str


@dataclass
class Site:
    """A node that runs, or parts of it.

    Attributes
    ----------
    folder
        Of its settings, data and logs.
    settings
        What its roles were started with.
    processes
        By role, in the order of their start.
    """

    folder: Path
    config: Path
    settings: Settings
    database: Database
    processes: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)

    @property
    def peer(self) -> Peer:
        """Where it receives."""
        return Peer(self.settings.node.ae_title, "127.0.0.1", self.settings.node.port)

    def start(self, role: str, num: int = 1) -> None:
        """Start processes of a role, and wait until they work."""
        command = [sys.executable, "-m", "node.cli", "--config", str(self.config), role]
        there = self.processes.setdefault(role, [])
        for _ in range(num):
            with (self.folder / f"{role}.log").open("ab") as log:
                there.append(
                    subprocess.Popen(
                        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                    )
                )
        if role == "listen":
            wait_for_port(self.peer.port)
        else:
            self.wait(lambda: self._num_alive(role) >= len(there), f"no {role}", START_SECONDS)

    def stop(self, role: str) -> None:
        """End the processes of a role in good order."""
        there = self.processes.pop(role, [])
        for process in there:
            process.send_signal(signal.SIGTERM)
        for process in there:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def passages(self) -> list[Passage]:
        """Every study that was analysed, in the order of the jobs."""
        with self.database.read() as transaction:
            jobs = transaction.jobs.list(limit=MOST)
            deliveries = transaction.results.deliveries(limit=MOST)
        sent: dict[int, list[DeliveryRecord]] = {}
        for delivery in deliveries:
            sent.setdefault(delivery.job_id, []).append(delivery)
        done = [_passage(job, sent.get(job.id, ())) for job in reversed(jobs)]
        return [each for each in done if each is not None]

    def counts(self) -> Mapping[str, int]:
        """Jobs by state."""
        with self.database.read() as transaction:
            return {str(state): number for state, number in transaction.jobs.counts().items()}

    def num_unsent(self) -> int:
        """Objects that wait for the destination."""
        with self.database.read() as transaction:
            return sum(each.num_pending for each in transaction.results.backlog())

    def wait(self, condition: Callable[[], T], what: str, seconds: float) -> T:
        """Wait until a condition holds, and for no process that ended.

        Raises
        ------
        RuntimeError
            If it does not hold in time, or a process ended.
        """
        until = time.monotonic() + seconds
        while not (answer := condition()):
            for role, there in self.processes.items():
                if any(process.poll() is not None for process in there):
                    raise RuntimeError(f"a process ({role}) ended: {self._end_of_log(role)}")
            if time.monotonic() > until:
                raise RuntimeError(f"{what} within {seconds:g} s")
            time.sleep(LOOK_SECONDS)
        return answer

    def wait_until_analysed(self, num: int, seconds: float) -> None:
        """Wait until so many studies have their reports."""
        self.wait(lambda: self.counts().get("SUCCEEDED", 0) >= num, f"not {num} reports", seconds)

    def wait_until_sent(self, num: int, seconds: float) -> None:
        """Wait until so many studies have their reports at the destination."""
        self.wait_until_analysed(num, seconds)
        self.wait(lambda: self.num_unsent() == 0, "not everything was sent", seconds)

    def _num_alive(self, role: str) -> int:
        ours = {process.pid for process in self.processes[role]}
        with self.database.read() as transaction:
            now, timeout = transaction.now(), timedelta(seconds=START_SECONDS)
            alive = transaction.workers.alive(now=now, timeout=timeout)
        return sum(worker.pid in ours for worker in alive)

    def _end_of_log(self, role: str) -> str:
        said = (self.folder / f"{role}.log").read_text(encoding="utf-8", errors="replace")
        return said.strip()[-300:]


@contextmanager
def running_site(
    folder: Path,
    *roles: str,
    destination: Peer | None = None,
    tables: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[Site]:
    """Run roles of a node for a while.

    Parameters
    ----------
    folder
        Is made.
    roles
        Of ``listen``, ``analyse``, ``deliver``, started in this order.
    destination
        Gets the results.
    tables
        Further settings, by section.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = _write_settings(folder, destination, tables or {})
    settings = load_settings(config)
    # upgraded once and by itself, as `midline db upgrade` does; roles that start together follow
    command = [sys.executable, "-m", "node.cli", "--config", str(config), "db", "upgrade"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    site = Site(folder, config, settings, Database(settings.storage.url))
    try:
        for role in roles:
            site.start(role)
        yield site
    finally:
        for role in reversed(list(site.processes)):
            site.stop(role)
        site.database.close()


def resident_mib(pid: int) -> float:
    """Resident memory of a process now, MiB."""
    fields = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / KIB**2


def cpu_seconds(pid: int) -> float:
    """CPU time of a process up to now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def folder_mib(folder: Path) -> float:
    """Size of all files below a folder, MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / KIB**2


def _write_settings(
    folder: Path, destination: Peer | None, tables: Mapping[str, Mapping[str, object]]
) -> Path:
    given: dict[str, dict[str, object]] = {
        "node": {"port": free_port()},
        "storage": {"folder": str(folder / "data"), "reserve_bytes": 0},
        "analysis": {"device": "cpu"},
    }
    for name, values in tables.items():
        given.setdefault(name, {}).update(values)
    lines = []
    for name, values in given.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    if destination is not None:
        lines += ["[[destinations]]", 'name = "pacs"', f'ae_title = "{destination.ae_title}"']
        lines += [f'host = "{destination.host}"', f"port = {destination.port}"]
    path = folder / "midline.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _passage(job: JobRecord, deliveries: Sequence[DeliveryRecord]) -> Passage | None:
    if job.started_at is None or job.finished_at is None:
        return None
    sent = [each.sent_at for each in deliveries if each.sent_at is not None]
    return Passage(
        study_instance_uid=job.study_instance_uid,
        last_image=_seconds(job.last_received_at),
        queued=_seconds(job.created_at),
        started=_seconds(job.started_at),
        finished=_seconds(job.finished_at),
        sent=_seconds(max(sent)) if sent and len(sent) == len(deliveries) else None,
        worker=job.executor_id or "",
    )


def _seconds(moment: datetime) -> float:
    return moment.timestamp()

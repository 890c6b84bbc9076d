"""One node on three hosts, with one database and one store: nothing is lost, nothing done twice.

On PostgreSQL each host is a network namespace with an address of its own, and so is the database's;
on SQLite the hosts are groups of processes that differ in their names. What is killed is killed
with SIGKILL. Kept short enough for every run; ``MIDLINE_HOSTS_LONG=1`` makes it 60 studies and 14
kills on each database, a cut of 60 s, and the default settings of liveness.
``MIDLINE_HOSTS_FIGURES`` names a file that the figures are added to.
"""

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from config.settings import LivenessSettings
from node.engine import migrate
from storage.database import Database
from storage.records import DeliveryState, JobRecord, JobState
from tests.support.hosts import ROLES, Host, Network, Postgres, Site, make_site, network
from tests.support.ledger import ANALYSIS, Note, notes, overlaps
from tests.support.pacs import Pacs, running_pacs
from tests.support.sender import store
from tests.support.storm import (
    Arrivals,
    Death,
    Storm,
    current_reports,
    insist,
    send_all,
    small_study,
    wait_for_reports,
)
from tests.support.waiting import eventually

IS_LONG = "MIDLINE_HOSTS_LONG" in os.environ
NUM_STUDIES, NUM_KILLS = (60, 14) if IS_LONG else (10, 5)
LIVENESS = (
    LivenessSettings() if IS_LONG else LivenessSettings(beat_seconds=1.0, dead_after_seconds=6.0)
)
CUT_SECONDS = 60.0 if IS_LONG else 10.0
TAKEN_OVER_SECONDS = 30.0
"""So soon the work of a host that died, or was cut off, is begun by another one."""
ANSWER_SECONDS = 20.0
"""A sender knows within this time that an image was not kept."""
SECONDS = 1800.0 if IS_LONG else 400.0
NAMES = ("a", "b", "c")
DATABASE = "db"

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


@dataclass
class Running:
    """A site at work, its database and its PACS."""

    site: Site
    database: Database
    pacs: Pacs
    arrivals: Arrivals
    server: Postgres | None
    deaths: list[Death] = field(default_factory=list)

    @property
    def hosts(self) -> dict[str, Host]:
        return self.site.hosts

    def tell(self, figures: str) -> None:
        """Add figures to the file that is to get them."""
        if path := os.environ.get("MIDLINE_HOSTS_FIGURES"):
            with Path(path).open("a") as file:
                file.write(f"{'SQLite' if self.server is None else 'PostgreSQL'}: {figures}\n")

    def job_of(self, study_instance_uid: str) -> JobRecord | None:
        """Find the job of a study."""
        with self.database.read() as transaction:
            jobs = transaction.jobs.list(limit=1000)
        return next((j for j in jobs if j.study_instance_uid == study_instance_uid), None)

    def work_on(self, job_id: int, step: str = "segment") -> list[Note]:
        """What was noted of a step of a job."""
        return [n for n in notes(self.site.folder) if n.job_id == job_id and n.step == step]

    def is_idle(self) -> bool:
        """Whether nothing waits, runs, or is on its way."""
        with self.database.read() as transaction:
            jobs = transaction.jobs.counts()
            waiting = transaction.results.deliveries(state=DeliveryState.PENDING)
        return not (jobs[JobState.QUEUED] or jobs[JobState.RUNNING] or waiting)

    def is_complete(self) -> bool:
        """Whether every host has all its roles."""
        timeout = timedelta(seconds=LIVENESS.dead_after_seconds)
        with self.database.read() as transaction:
            alive = transaction.workers.alive(now=transaction.now(), timeout=timeout)
        return {(worker.host, worker.role) for worker in alive} == {
            (name, role) for name in self.hosts for role in ROLES
        }

    def assert_all_is_well(self, *deaths: Death) -> None:
        """Nothing is left, nobody worked on what another one had, nothing arrived twice.

        Whatever was sent has its row; what came again is the same object, and whoever sent it first
        died before it could write the row.
        """
        self.deaths += deaths
        eventually(self.is_idle, seconds=SECONDS)
        assert overlaps(notes(self.site.folder), ANALYSIS) == []
        assert overlaps(notes(self.site.folder), ("send",)) == []
        with self.database.read() as transaction:
            sent = transaction.results.deliveries(limit=10_000)
        assert {each.state for each in sent} == {DeliveryState.SENT}
        assert {each.sop_instance_uid for each in sent} == {uid for _, uid, _ in self.arrivals.at}
        for before, again, is_same in self.arrivals.repetitions():
            assert is_same
            assert any(before <= death.until and death.since <= again for death in self.deaths)


@contextmanager
def at_work(
    folder: Path, url: str, *, net: Network | None = None, server: Postgres | None = None
) -> Iterator[Running]:
    """Run three hosts and a PACS."""
    database = Database(url)
    database.upgrade()
    migrate(database)
    arrivals = Arrivals()
    address = "127.0.0.1" if net is None else net.own_address
    with running_pacs(host=address, answer=arrivals) as pacs:
        site = make_site(
            folder,
            url,
            NAMES,
            pacs.peer,
            net=net,
            # a storm may hit one study again and again; who is given up is for another test
            analysis={"max_recovery_attempts": 20},
            completion={"unknown_sender_seconds": 0.2, "quiet_after_release_seconds": 2.0},
            liveness=LIVENESS.model_dump(),
        )
        running = Running(site, database, pacs, arrivals, server)
        for host in site.hosts.values():
            host.start()
        try:
            eventually(running.is_complete, seconds=SECONDS)
            yield running
            eventually(running.is_complete, seconds=SECONDS)  # nobody had to help
        finally:
            for host in site.hosts.values():
                host.terminate()
            codes = [host.ended() for host in site.hosts.values()]
            database.close()
    assert codes == [0, 0, 0]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("hosts") / "site"
    if request.param == "sqlite":
        with at_work(folder, f"sqlite:///{folder / 'data' / 'midline.sqlite'}") as running:
            yield running
        return
    with network((DATABASE, *NAMES)) as net, tempfile.TemporaryDirectory() as cluster:
        server = Postgres(net, DATABASE, Path(cluster))
        server.start()
        try:
            with at_work(folder, server.url, net=net, server=server) as running:
                yield running
        finally:
            server.stop()


@pytest.fixture
def server(running: Running) -> Postgres:
    if running.server is None:
        pytest.skip("SQLite is in its processes: it neither stops nor is cut off")
    return running.server


def begun_by(running: Running, study_instance_uid: str) -> tuple[JobRecord, Note]:
    """Wait until a worker computes on a study; its job, and the beginning."""
    job = eventually(lambda: running.job_of(study_instance_uid), seconds=SECONDS)
    eventually(lambda: any(n.mark == "at" for n in running.work_on(job.id)), seconds=SECONDS)
    return job, running.work_on(job.id)[0]


def taken_over(running: Running, job: JobRecord, first: Note) -> Note:
    """Wait until another life begins the same job; its first note."""
    return eventually(
        lambda: next((n for n in running.work_on(job.id) if n.life != first.life), None),
        seconds=TAKEN_OVER_SECONDS,
    )


def test_a_storm_of_kills_loses_nothing_and_doubles_nothing(running: Running) -> None:
    running.site.set_seconds(5.0 if IS_LONG else 2.0)  # so that workers are killed at work
    studies = [small_study(f"storm{number}") for number in range(NUM_STUDIES)]
    storm = Storm(running.site, random.Random(NUM_STUDIES))
    began = time.monotonic()
    sending = send_all(running.site, studies, seconds=SECONDS)
    storm.blow(NUM_KILLS, longest_pause_seconds=4.0 if IS_LONG else 2.0)
    sending.join(SECONDS)
    wait_for_reports(running.pacs, studies, seconds=SECONDS)
    running.assert_all_is_well(*storm.deaths)
    reports = current_reports(running.pacs)
    wanted = {images[0].StudyInstanceUID for images in studies}
    assert {uid: len(reports[uid]) for uid in wanted} == dict.fromkeys(wanted, 1)
    jobs = [job for uid in wanted if (job := running.job_of(uid))]
    assert {job.outcome for job in jobs} == {"NEGATIVE"}
    worked = notes(running.site.folder)
    begun = Counter(n.job_id for n in worked if (n.step, n.mark) == ("segment", "begin"))
    num_again = sum(begun[job.id] - 1 for job in jobs)
    assert num_again > 0  # else nobody was killed at work
    running.tell(
        f"{NUM_STUDIES} studies, {len(storm.deaths)} kills: {len(reports)} reports "
        f"in {time.monotonic() - began:.0f} s, {num_again} analyses begun again, "
        f"{len(running.arrivals.repetitions())} objects sent again"
    )


def test_the_work_of_a_host_that_dies_is_taken_over(running: Running) -> None:
    running.site.set_seconds(2.0)
    eventually(running.is_complete, seconds=SECONDS)
    study = small_study("dying")
    insist([host.peer for host in running.hosts.values()], study, seconds=SECONDS)
    job, first = begun_by(running, study[0].StudyInstanceUID)
    began = time.monotonic()
    died = running.hosts[first.host].die()
    second = taken_over(running, job, first)
    running.tell(f"taken over {second.at - died:.1f} s after the death of a host")
    running.hosts[first.host].start()
    wait_for_reports(running.pacs, [study], seconds=SECONDS)
    running.assert_all_is_well(Death(began, died, first.host, "host"))
    assert second.host != first.host


def test_a_database_that_stops_at_once_and_comes_back_costs_nothing(
    running: Running, server: Postgres
) -> None:
    running.site.set_seconds(1.0)
    eventually(running.is_complete, seconds=SECONDS)
    studies = [small_study(f"stopped{number}") for number in range(4)]
    *early, late = studies
    for images in early:
        insist([running.hosts["a"].peer], images, seconds=SECONDS)
    begun_by(running, early[0][0].StudyInstanceUID)
    began = time.monotonic()
    server.stop()
    statuses = store(running.hosts["b"].peer, late)
    time.sleep(LIVENESS.beat_seconds)
    server.start()
    death = Death(began, time.monotonic() + LIVENESS.dead_after_seconds, DATABASE, "host")
    assert {status >> 8 for status in statuses} == {0xA7}
    insist([running.hosts["b"].peer], late, seconds=SECONDS)
    wait_for_reports(running.pacs, studies, seconds=SECONDS)
    running.assert_all_is_well(death)
    outcomes = {running.job_of(images[0].StudyInstanceUID).outcome for images in studies}
    assert outcomes == {"NEGATIVE"}


def test_images_are_not_taken_while_the_database_is_out_of_reach(
    running: Running, server: Postgres
) -> None:
    eventually(running.is_complete, seconds=SECONDS)
    study = small_study("unreachable")
    assert running.site.network is not None
    running.site.network.cut(DATABASE)
    began = time.monotonic()
    try:
        (status,) = store(running.hosts["c"].peer, study[:1])
        seconds = time.monotonic() - began
    finally:
        running.site.network.mend(DATABASE)
    running.tell(f"answered 0x{status:04X} after {seconds:.1f} s without the database")
    assert status >> 8 == 0xA7
    assert seconds < ANSWER_SECONDS
    insist([running.hosts["c"].peer], study, seconds=SECONDS)
    wait_for_reports(running.pacs, [study], seconds=SECONDS)
    death = Death(began, time.monotonic(), DATABASE, "host")
    running.assert_all_is_well(death)


def test_a_host_that_is_cut_off_stops_and_comes_back(running: Running, server: Postgres) -> None:
    net = running.site.network
    assert net is not None
    # it would still compute when another one begins, if it did not stop by itself
    running.site.set_seconds(2 * LIVENESS.dead_after_seconds)
    eventually(running.is_complete, seconds=SECONDS)
    study = small_study("cut")
    insist([host.peer for host in running.hosts.values()], study, seconds=SECONDS)
    job, first = begun_by(running, study[0].StudyInstanceUID)
    began = time.monotonic()
    net.cut(first.host)
    second = taken_over(running, job, first)
    last = [note for note in running.work_on(job.id) if note.life == first.life][-1]
    running.tell(
        f"cut off: worked on for {last.at - began:.1f} s; "
        f"taken over after {second.at - began:.1f} s"
    )
    assert second.host != first.host
    eventually(lambda: time.monotonic() - began > CUT_SECONDS, seconds=2 * CUT_SECONDS)
    net.mend(first.host)
    mended = time.monotonic()
    running.site.set_seconds(0.5)
    wait_for_reports(running.pacs, [study], seconds=SECONDS)
    eventually(running.is_complete, seconds=SECONDS)
    more = [small_study(f"after{number}") for number in range(6)]
    send_all(running.site, more, seconds=SECONDS).join(SECONDS)
    wait_for_reports(running.pacs, more, seconds=SECONDS)
    running.assert_all_is_well(Death(began, mended, first.host, "host"))
    ended = running.job_of(study[0].StudyInstanceUID)
    assert ended is not None
    assert ended.executor_id is not None
    assert ended.executor_id.startswith(f"analyse-{second.host}-")
    assert any(note.host == first.host for note in notes(running.site.folder) if note.at > mended)

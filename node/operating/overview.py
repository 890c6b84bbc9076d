"""How the node stands at one moment: what ``midline status`` and the page show first."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.settings import Settings
from node.operating.values import made_of
from node.results.forms import forms_of
from storage.database import Transaction
from storage.records import (
    Backlog,
    ConflictKind,
    DrainRecord,
    JobState,
    RefusalRecord,
    StudyState,
    WorkerRecord,
)

MOST_CONFLICTS = 10
"""So many of the latest conflicts are shown."""


@dataclass(frozen=True, kw_only=True)
class Worker(WorkerRecord):
    """A worker process, and whether its sign of life came in time.

    Attributes
    ----------
    alive
        False if it has been silent for longer than `liveness.dead_after_seconds`.
    """

    alive: bool


@dataclass(frozen=True, kw_only=True)
class Destination(Backlog):
    """What waits for one destination, and what it gets.

    Attributes
    ----------
    in_settings
        False if it has deliveries from earlier, and is not in the settings any more.
    address
        Where it is; None if it is not in the settings.
    gets
        In which forms it gets its results; None if it is not in the settings.
    """

    in_settings: bool
    address: str | None
    gets: str | None


@dataclass(frozen=True)
class QuarantinedStudy:
    """A study that nobody processes until somebody has looked.

    Attributes
    ----------
    id
        Number of the study, for ``midline queue readmit``.
    """

    id: int
    study_instance_uid: str
    state: StudyState
    generation: int
    num_instances: int
    num_duplicates: int
    first_received_at: datetime
    last_received_at: datetime
    calling_ae_title: str


@dataclass(frozen=True)
class Conflict:
    """A received file that was put aside, and why."""

    id: int
    kind: ConflictKind
    study_instance_uid: str
    sop_instance_uid: str
    calling_ae_title: str
    recorded_at: datetime


@dataclass(frozen=True)
class WaitingStudy:
    """The complete study that waits longest for its report.

    Attributes
    ----------
    seconds
        Since its last image.
    """

    study_id: int
    job_id: int
    state: JobState
    last_received_at: datetime
    seconds: float


@dataclass(frozen=True)
class Disk:
    """Room in the folder of images and results, as the machine that asks sees it.

    Attributes
    ----------
    free_bytes, total_bytes
        Of its file system; None where the folder is not on this machine.
    reserve_bytes
        With less than this, no image is accepted.
    """

    free_bytes: int | None
    total_bytes: int | None
    reserve_bytes: int

    @property
    def is_full(self) -> bool:
        """Whether images are refused for want of room."""
        return self.free_bytes is not None and self.free_bytes < self.reserve_bytes


@dataclass(frozen=True)
class Overview:
    """How the node stands at one moment.

    Attributes
    ----------
    now
        By the database's clock, as the signs of life are.
    draining
        Roles that take no new work, on an operator's wish.
    studies, jobs
        Number in each state.
    outcomes
        Number of reports by what they say.
    oldest_waiting
        The complete study that waits longest for its report; None if none waits.
    workers
        Those that give signs of life, then those that are silent.
    destinations
        Those of the settings, then others that have deliveries.
    refusals
        What destinations do not take.
    quarantined
        Studies that nobody processes until somebody has looked.
    conflicts
        Files that were put aside, the latest first.
    disk
        Room in the folder.
    """

    now: datetime
    draining: tuple[DrainRecord, ...]
    studies: dict[str, int]
    jobs: dict[str, int]
    outcomes: dict[str, int]
    oldest_waiting: WaitingStudy | None
    workers: tuple[Worker, ...]
    destinations: tuple[Destination, ...]
    refusals: tuple[RefusalRecord, ...]
    quarantined: tuple[QuarantinedStudy, ...]
    conflicts: tuple[Conflict, ...]
    disk: Disk


def look(transaction: Transaction, settings: Settings) -> Overview:
    """Read how the node stands."""
    now = transaction.now()
    return Overview(
        now=now,
        draining=transaction.drains.list(),
        studies={state.value: count for state, count in transaction.studies.counts().items()},
        jobs={state.value: count for state, count in transaction.jobs.counts().items()},
        outcomes=transaction.jobs.outcomes(),
        oldest_waiting=_oldest_waiting(transaction, now=now),
        workers=_workers(transaction, settings, now=now),
        destinations=_destinations(transaction, settings),
        refusals=transaction.refusals.list(),
        quarantined=tuple(
            made_of(QuarantinedStudy, study)
            for study in transaction.studies.list_studies(state=StudyState.QUARANTINED)
        ),
        conflicts=tuple(
            made_of(Conflict, conflict)
            for conflict in transaction.studies.conflicts(limit=MOST_CONFLICTS)
        ),
        disk=_disk(settings),
    )


def _oldest_waiting(transaction: Transaction, *, now: datetime) -> WaitingStudy | None:
    job = transaction.jobs.oldest_open()
    if job is None:
        return None
    # clocks of several hosts may disagree
    seconds = max((now - job.last_received_at).total_seconds(), 0.0)
    return WaitingStudy(job.study_id, job.id, job.state, job.last_received_at, seconds)


def _workers(transaction: Transaction, settings: Settings, *, now: datetime) -> tuple[Worker, ...]:
    timeout = timedelta(seconds=settings.liveness.dead_after_seconds)
    alive = transaction.workers.alive(now=now, timeout=timeout)
    silent = transaction.workers.dead(now=now, timeout=timeout)
    return (
        *(made_of(Worker, each, alive=True) for each in alive),
        *(made_of(Worker, each, alive=False) for each in silent),
    )


def _destinations(transaction: Transaction, settings: Settings) -> tuple[Destination, ...]:
    known = {each.name: each for each in settings.receivers}
    backlog = {name: Backlog(name, 0, 0, 0, None, None) for name in known}
    backlog |= {each.destination: each for each in transaction.results.backlog()}
    return tuple(
        made_of(
            Destination,
            each,
            in_settings=receiver is not None,
            address=receiver and receiver.address,
            gets=receiver and str(forms_of(receiver, transaction.refusals.of(name))),
        )
        for name, each in backlog.items()
        for receiver in [known.get(name)]
    )


def _disk(settings: Settings) -> Disk:
    """Look at the folder; on another machine than the node's it may not be there."""
    try:
        usage = shutil.disk_usage(settings.storage.folder)
    except OSError:
        return Disk(None, None, settings.storage.reserve_bytes)
    return Disk(usage.free, usage.total, settings.storage.reserve_bytes)

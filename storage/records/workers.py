"""Worker processes and their signs of life."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class NewWorker:
    """A worker process as it describes itself.

    Attributes
    ----------
    executor_id
        Unique for each process that ever runs.
    role
        What it does, for instance ``analyse``.
    device
        ``cpu``, ``cuda:0``; empty where the role needs none.
    """

    executor_id: str
    role: str
    host: str
    pid: int
    device: str


@dataclass(frozen=True)
class WorkerRecord:
    """A worker process and its last sign of life; see `NewWorker`."""

    executor_id: str
    role: str
    host: str
    pid: int
    device: str
    started_at: datetime
    beat_at: datetime


@dataclass(frozen=True)
class DrainRecord:
    """That the workers of a role take no new work, and since when."""

    role: str
    started_at: datetime

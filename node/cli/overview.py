"""``midline status``: how the node stands, on one page."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import typer
from pydicom.uid import UID

from config.settings import Settings
from node.cli.output import AsJson, age, as_dict, write_facts, write_json, write_table
from node.cli.site import open_index, settings_for_person
from node.results.forms import forms_of
from storage.database import Transaction
from storage.records import (
    Backlog,
    ConflictRecord,
    RefusalRecord,
    StudyRecord,
    StudyState,
    WorkerRecord,
)

MOST_CONFLICTS = 10
"""The latest conflicts are shown; `midline status --json` shows as many."""


@dataclass(frozen=True)
class Overview:
    """How the node stands at one moment.

    Attributes
    ----------
    now
        By the database's clock, as the signs of life are.
    studies, jobs
        Number in each state.
    outcomes
        Number of reports by what they say.
    alive, silent
        Workers with and without a sign of life in time.
    destinations
        What waits for each: those of the settings, then others that have deliveries.
    gets
        In which forms each destination of the settings gets its results.
    refusals
        What destinations do not take.
    unknown
        Names of the destinations that are not in the settings any more.
    quarantined
        Studies that nobody processes until somebody has looked.
    conflicts
        Files that were put aside, the latest first.
    free_bytes, reserve_bytes
        Room in the folder, and the room below which no image is accepted.
    """

    now: datetime
    studies: dict[str, int]
    jobs: dict[str, int]
    outcomes: dict[str, int]
    alive: tuple[WorkerRecord, ...]
    silent: tuple[WorkerRecord, ...]
    destinations: tuple[Backlog, ...]
    gets: dict[str, str]
    refusals: tuple[RefusalRecord, ...]
    unknown: tuple[str, ...]
    quarantined: tuple[StudyRecord, ...]
    conflicts: tuple[ConflictRecord, ...]
    free_bytes: int
    reserve_bytes: int


def status(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show how the node stands: studies, jobs, workers, destinations, conflicts, disk."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        overview = look(transaction, settings)
    if as_json:
        write_json(as_json_object(overview))
    else:
        _write(overview)


def look(transaction: Transaction, settings: Settings) -> Overview:
    """Read how the node stands."""
    now = transaction.now()
    timeout = timedelta(seconds=settings.liveness.dead_after_seconds)
    backlog = {each.destination: each for each in transaction.results.backlog()}
    known = [destination.name for destination in settings.receivers]
    unknown = tuple(name for name in backlog if name not in known)
    nothing = {name: Backlog(name, 0, 0, 0, None, None) for name in known}
    return Overview(
        now=now,
        studies={state.value: count for state, count in transaction.studies.counts().items()},
        jobs={state.value: count for state, count in transaction.jobs.counts().items()},
        outcomes=transaction.jobs.outcomes(),
        alive=transaction.workers.alive(now=now, timeout=timeout),
        silent=transaction.workers.dead(now=now, timeout=timeout),
        destinations=tuple({**nothing, **backlog}.values()),
        gets={
            each.name: str(forms_of(each, transaction.refusals.of(each.name)))
            for each in settings.receivers
        },
        refusals=transaction.refusals.list(),
        unknown=unknown,
        quarantined=transaction.studies.list_studies(state=StudyState.QUARANTINED),
        conflicts=transaction.studies.conflicts(limit=MOST_CONFLICTS),
        free_bytes=shutil.disk_usage(settings.storage.folder).free,
        reserve_bytes=settings.storage.reserve_bytes,
    )


def as_json_object(overview: Overview) -> dict[str, Any]:
    """Say the same in JSON; names of files and digests of patients stay inside."""
    workers = [{**as_dict(worker), "alive": True} for worker in overview.alive]
    workers += [{**as_dict(worker), "alive": False} for worker in overview.silent]
    return {
        "now": overview.now,
        "studies": overview.studies,
        "jobs": overview.jobs,
        "outcomes": overview.outcomes,
        "workers": workers,
        "destinations": [
            {
                **as_dict(each),
                "in_settings": each.destination not in overview.unknown,
                "gets": overview.gets.get(each.destination),
            }
            for each in overview.destinations
        ],
        "refusals": [as_dict(refusal) for refusal in overview.refusals],
        "quarantined": [as_dict(study, "patient_key") for study in overview.quarantined],
        "conflicts": [as_dict(conflict, "path", "sha256") for conflict in overview.conflicts],
        "disk": {"free_bytes": overview.free_bytes, "reserve_bytes": overview.reserve_bytes},
    }


def _write(overview: Overview) -> None:
    write_facts(
        [
            ("Studies", _counted(overview.studies)),
            ("Jobs", _counted(overview.jobs)),
            ("Reports", _counted(overview.outcomes)),
            ("Free disk", _disk(overview)),
        ]
    )
    _write_workers(overview)
    _write_destinations(overview)
    uncommitted = [
        each
        for each in overview.destinations
        if each.num_uncommitted or each.num_commitment_failed or each.num_unanswered
    ]
    if uncommitted:
        _write_uncommitted(uncommitted)
    if overview.refusals:
        write_refusals(overview.refusals, now=overview.now)
    if overview.quarantined:
        _write_quarantined(overview)
    if overview.conflicts:
        _write_conflicts(overview)


def _counted(counts: dict[str, int]) -> str:
    """Write counts in one line; those that are zero are left out."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def _disk(overview: Overview) -> str:
    free, reserve = overview.free_bytes / 2**30, overview.reserve_bytes / 2**30
    text = f"{free:.1f} GiB, of which {reserve:.1f} GiB are reserved"
    return f"{text}: NO IMAGE IS ACCEPTED" if free < reserve else text


def _write_workers(overview: Overview) -> None:
    workers = [*((w, "") for w in overview.alive), *((w, "SILENT") for w in overview.silent)]
    write_table(
        "Workers",
        ("Role", "Host", ">Process", "Device", ">Up for", ">Last sign of life", ""),
        [
            (w.role, w.host, w.pid, w.device, age(w.started_at, now=overview.now), said, remark)
            for w, remark in workers
            for said in [f"{age(w.beat_at, now=overview.now)} ago"]
        ],
    )


def _write_destinations(overview: Overview) -> None:
    write_table(
        "Destinations",
        ("Name", "Gets", ">Sent", ">Waiting", ">Oldest waits", ">Dead", "Last error"),
        [
            (
                f"{each.destination} (not in the settings)"
                if each.destination in overview.unknown
                else each.destination,
                overview.gets.get(each.destination),
                each.num_sent,
                each.num_pending,
                age(each.oldest_pending_at, now=overview.now),
                each.num_dead,
                each.last_error,
            )
            for each in overview.destinations
        ],
    )


def _write_uncommitted(destinations: Sequence[Backlog]) -> None:
    """Show to what destinations have not committed, of what they got."""
    write_table(
        "Sent, and not committed to; midline queue retry JOB --deliveries asks again",
        ("Destination", ">No answer yet", ">Not committed to", ">Never answered", "Last error"),
        [
            (
                each.destination,
                each.num_uncommitted,
                each.num_commitment_failed,
                each.num_unanswered,
                each.last_commitment_error,
            )
            for each in destinations
        ],
    )


def write_refusals(refusals: Sequence[RefusalRecord], *, now: datetime) -> None:
    """Show what destinations do not take, and what their results became for it."""
    write_table(
        "Not taken: other forms are sent; midline destinations forget NAME offers them again",
        ("Destination", "What", ">Since", "Answer"),
        [
            (each.destination, UID(each.uid).name, age(each.refused_at, now=now), each.answer)
            for each in refusals
        ],
    )


def _write_quarantined(overview: Overview) -> None:
    write_table(
        "Quarantined studies: images of two patients came under one study",
        (">Study", "Study Instance UID", ">Images", "From", ">Last image"),
        [
            (
                study.id,
                study.study_instance_uid,
                study.num_instances,
                study.calling_ae_title,
                f"{age(study.last_received_at, now=overview.now)} ago",
            )
            for study in overview.quarantined
        ],
    )


def _write_conflicts(overview: Overview) -> None:
    write_table(
        f"Files put aside, the latest {MOST_CONFLICTS}",
        ("Kind", "SOP Instance UID", "From", ">When"),
        [
            (
                conflict.kind,
                conflict.sop_instance_uid,
                conflict.calling_ae_title,
                f"{age(conflict.recorded_at, now=overview.now)} ago",
            )
            for conflict in overview.conflicts
        ],
    )

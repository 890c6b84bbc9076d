"""``midline status``: how the node stands, on one page."""

from collections.abc import Sequence
from datetime import datetime

import typer

from node.cli.output import AsJson, age, duration, write_facts, write_json, write_table
from node.cli.site import open_index, settings_for_person
from node.operating.overview import MOST_CONFLICTS, Destination, Overview, look
from storage.records import RefusalRecord


def status(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show how the node stands: studies, jobs, workers, destinations, conflicts, disk."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        overview = look(transaction, settings)
    if as_json:
        write_json(overview)
    else:
        _write(overview)


def _write(overview: Overview) -> None:
    write_facts(
        [
            ("Draining", _draining(overview)),
            ("Studies", _counted(overview.studies)),
            ("Jobs", _counted(overview.jobs)),
            ("Reports", _counted(overview.outcomes)),
            ("Waits longest", _oldest_waiting(overview)),
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


def _draining(overview: Overview) -> str | None:
    """Say which roles take no new work; nothing if all do."""
    told = [
        f"{drain.role} TAKES NO NEW WORK since {age(drain.started_at, now=overview.now)}"
        for drain in overview.draining
    ]
    return f"{', '.join(told)}; midline resume ends that" if told else None


def _counted(counts: dict[str, int]) -> str:
    """Write counts in one line; those that are zero are left out."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def _oldest_waiting(overview: Overview) -> str:
    oldest = overview.oldest_waiting
    if oldest is None:
        return "no study waits for its report"
    waits = f"study {oldest.study_id}, {duration(oldest.seconds)} since its last image"
    return f"{waits}; job {oldest.job_id} is {oldest.state}"


def _disk(overview: Overview) -> str:
    disk, reserve = overview.disk, overview.disk.reserve_bytes / 2**30
    if disk.free_bytes is None or disk.total_bytes is None:
        return f"unknown: the folder is not on this machine; {reserve:.1f} GiB are reserved"
    free, total = disk.free_bytes / 2**30, disk.total_bytes / 2**30
    text = f"{free:.1f} of {total:.1f} GiB, of which {reserve:.1f} GiB are reserved"
    return f"{text}: NO IMAGE IS ACCEPTED" if disk.is_full else text


def _write_workers(overview: Overview) -> None:
    write_table(
        "Workers",
        ("Role", "Host", ">Process", "Device", ">Up for", ">Last sign of life", ""),
        [
            (
                each.role,
                each.host,
                each.pid,
                each.device,
                age(each.started_at, now=overview.now),
                f"{age(each.beat_at, now=overview.now)} ago",
                "" if each.alive else "SILENT",
            )
            for each in overview.workers
        ],
    )


def _write_destinations(overview: Overview) -> None:
    write_table(
        "Destinations",
        ("Name", "Gets", ">Sent", ">Waiting", ">Oldest waits", ">Dead", "Last error"),
        [
            (
                each.destination
                if each.in_settings
                else f"{each.destination} (not in the settings)",
                each.gets,
                each.num_sent,
                each.num_pending,
                age(each.oldest_pending_at, now=overview.now),
                each.num_dead,
                each.last_error,
            )
            for each in overview.destinations
        ],
    )


def _write_uncommitted(destinations: Sequence[Destination]) -> None:
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
    from pydicom.uid import UID  # noqa: PLC0415 - it takes a third of a second, and few are shown

    write_table(
        "Not taken: other forms are sent; midline peers forget NAME offers them again",
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

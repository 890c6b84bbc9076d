"""An index with as many studies as a node has after months: of every standing, without images.

They are written as rows, thousands at a time; what a page shows of them is what it would show of
studies that came by C-STORE. Everything follows from the number of a study.
"""

import json
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from node.stages import Stage
from storage.database import Database
from storage.records import CommitmentState, DeliveryState, JobState, Priority, StudyState
from storage.tables import CompletionRow, DeliveryRow, JobRow, ResultRow, StudyRow

SENDERS = ("CT1", "CT2", "CT-ER", "ROUTER")
DESTINATIONS = ("pacs", "archive")
KINDS = (("SEG", "1.2.840.10008.5.1.4.1.1.66.4"), ("SR", "1.2.840.10008.5.1.4.1.1.88.34"))
OUTCOMES = ("NEGATIVE", "NEGATIVE", "POSITIVE", "NEGATIVE", "PARTIAL", "NEGATIVE", "NOT_ATTEMPTED")
APART = timedelta(minutes=7)
BATCH = 500


def fill(database: Database, num_studies: int, *, now: datetime) -> None:
    """Enter studies that came every few minutes until now; the last ones are still at work."""
    rows: dict[type[Any], list[dict[str, Any]]] = {
        kind: [] for kind in (StudyRow, CompletionRow, JobRow, ResultRow, DeliveryRow)
    }
    for number in range(1, num_studies + 1):
        _enter(rows, number, num_studies - number, now=now)
    with database.begin() as transaction:
        for kind, values in rows.items():
            for begin in range(0, len(values), BATCH):
                transaction.session.execute(sa.insert(kind), values[begin : begin + BATCH])


def _enter(
    rows: dict[type[Any], list[dict[str, Any]]], number: int, age: int, *, now: datetime
) -> None:
    last = now - age * APART - timedelta(seconds=5 + 13 * (number % 7))
    first = last - timedelta(seconds=20 + number % 9)
    state = StudyState.COMPLETE
    if age < 2:
        state = StudyState.RECEIVING
    elif number % 997 == 0:
        state = StudyState.QUARANTINED
    generation = int(state is StudyState.COMPLETE)
    rows[StudyRow].append(
        {
            "id": number,
            "study_instance_uid": f"2.25.{10**30 + number}",
            "patient_key": f"{number:064x}",
            "state": state,
            "generation": generation,
            "num_instances": 28 + number % 170,
            "num_duplicates": 0,
            "first_received_at": first,
            "last_received_at": last,
            "released_at": None if age < 2 else last + timedelta(seconds=1),
            "calling_ae_title": SENDERS[number % len(SENDERS)],
            "is_interrupted": False,
            "longest_pause_seconds": None,
            "expected_instances": None,
            "expected_by": None,
            "files_removed_at": None,
        }
    )
    if generation:
        complete = last + timedelta(seconds=6)
        rows[CompletionRow].append(
            {
                "study_id": number,
                "generation": 1,
                "num_instances": 28 + number % 170,
                "last_received_at": last,
                "completed_at": complete,
                "evidence": "slices of a whole head",
            }
        )
        _enter_job(rows, number, age, complete, now=now)


def _enter_job(
    rows: dict[type[Any], list[dict[str, Any]]],
    number: int,
    age: int,
    complete: datetime,
    *,
    now: datetime,
) -> None:
    started = complete + timedelta(seconds=1 + (number * 7) % 23)
    finished: datetime | None = started + timedelta(seconds=9 + (number * 11) % 17)
    state, outcome = JobState.SUCCEEDED, OUTCOMES[number % len(OUTCOMES)]
    if age < 5:
        state, finished = (JobState.RUNNING if age < 3 else JobState.QUEUED), None
    elif number % 211 == 0:
        state = JobState.CANCELLED
    elif number % 499 == 0:
        state = JobState.FAILED
    is_reported = state is JobState.SUCCEEDED
    rows[JobRow].append(
        {
            "id": number,
            "study_id": number,
            "generation": 1,
            "run": 1,
            "state": state,
            "priority": Priority.STAT if age == 4 else Priority.ROUTINE,
            "attempts": int(state is not JobState.QUEUED),
            "executor_id": None if state is JobState.QUEUED else "analyse-1",
            "outcome": outcome if is_reported else None,
            "reason": {"PARTIAL": "BORDERLINE", "NOT_ATTEMPTED": "TYPES"}.get(outcome)
            if is_reported
            else None,
            "message": None,
            "model": "sym-transnet-lite 1.0" if is_reported else None,
            "findings_json": _findings(outcome) if is_reported else None,
            "analysed_json": None,
            "selection_json": _selection(number) if is_reported else None,
            "stages_json": _stages(started) if is_reported else None,
            "created_at": complete,
            "started_at": None if state is JobState.QUEUED else started,
            "finished_at": finished,
        }
    )
    if is_reported and finished is not None:
        _enter_results(rows, number, age, finished)


def _enter_results(
    rows: dict[type[Any], list[dict[str, Any]]], number: int, age: int, finished: datetime
) -> None:
    for position, (kind, sop_class_uid) in enumerate(KINDS):
        result = 2 * number + position
        rows[ResultRow].append(
            {
                "id": result,
                "job_id": number,
                "kind": kind,
                "sop_class_uid": sop_class_uid,
                "sop_instance_uid": f"2.25.{2 * 10**30 + result}",
                "path": f"results/{number}/{kind}.dcm",
                "sha256": f"{result:064x}",
                "position": position,
                "created_at": finished,
            }
        )
        for order, destination in enumerate(DESTINATIONS):
            state = DeliveryState.SENT
            if order and number % 307 == 0:
                state = DeliveryState.DEAD
            elif age < 7:
                state = DeliveryState.PENDING
            is_sent = state is DeliveryState.SENT
            sent = finished + timedelta(seconds=1 + number % 5)
            rows[DeliveryRow].append(
                {
                    "id": 4 * number + 2 * position + order,
                    "result_id": result,
                    "destination": destination,
                    "state": state,
                    "attempts": 1 + 4 * (state is DeliveryState.DEAD),
                    "last_error": None if is_sent else "it does not answer (connection refused)",
                    "created_at": finished,
                    "opened_at": finished,
                    "last_attempt_at": sent,
                    "next_attempt_at": sent + timedelta(minutes=5)
                    if state is DeliveryState.PENDING
                    else None,
                    "sent_at": sent if is_sent else None,
                    "commitment": CommitmentState.COMMITTED
                    if is_sent
                    else CommitmentState.NOT_ASKED,
                    "commitment_error": None,
                    "committed_at": sent + timedelta(seconds=2) if is_sent else None,
                }
            )


def _stages(started: datetime) -> str:
    """Say when each stage was reached, all within nine seconds."""
    return json.dumps(
        {
            stage: (started + timedelta(seconds=1.5 * number)).isoformat()
            for number, stage in enumerate(Stage, start=1)
        }
    )


def _findings(outcome: str) -> str:
    found = {"SDH": 23.4, "IPH": 3.1} if outcome == "POSITIVE" else {}
    return json.dumps(
        {
            "num_images": 34,
            "case_score_percent": 97.4 if found else 3.2,
            "volume_ml": found,
            "side": {"SDH": "LEFT", "IPH": "LEFT"} if found else {},
            "midline_shift": {"mm": 4.2, "side": "RIGHT"} if found else None,
            "familiarity": {"is_familiar": True},
        }
    )


def _selection(number: int) -> str:
    return json.dumps(
        {
            "chosen": {
                "series_instance_uid": f"2.25.{3 * 10**30 + number}",
                "series_number": 3,
                "num_images": 34,
                "score": 7.5,
                "cautions": [],
            },
            "rejected": [
                {
                    "series_instance_uid": f"2.25.{4 * 10**30 + number}",
                    "series_number": 2,
                    "rejection": "BONE",
                    "sentence": "It was reconstructed with a bone kernel.",
                    "detail": "",
                }
            ],
            "reason": None,
        }
    )

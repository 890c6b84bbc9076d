"""An index as it is after years: filled by the database itself, in a few statements.

Half of the studies have been analysed, delivered and committed to; of the others as many as asked
for wait in the queue. Rows are as long as the node writes them, since long rows are what makes
counting slow.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from storage.database import Database
from storage.records import CommitmentState, DeliveryState, JobState, Priority, StudyState
from storage.tables import (
    Base,
    CompletionRow,
    DeliveryRow,
    InstanceRow,
    JobRow,
    ResultRow,
    SeriesRow,
    StudyRow,
    UtcDateTime,
)

IMAGES_PER_STUDY = 40
KINDS = ("SEG", "PAGE", "SR")
OUTCOMES = ("NEGATIVE", "POSITIVE", "PARTIAL")
SENDERS = 4
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FINDINGS = json.dumps({"volume_ml": {"IPH": 3.2}, "input_digest": "0" * 64, "unusual": "x" * 600})
ANALYSED = json.dumps({"files": ["received/00/" + "0" * 64 + ".dcm"] * 32, "shortfall": ""})
SELECTION = json.dumps({"chosen": {"score": 100.0}, "rejected": [{"sentence": "x" * 400}] * 2})


@dataclass(frozen=True)
class Fill:
    """How much there is to be.

    Attributes
    ----------
    num_instances
        Images in all, `IMAGES_PER_STUDY` in each study.
    num_queued
        Studies that wait to be analysed; their workflows are not entered.
    destination
        Who got all the results.
    """

    num_instances: int = 1_000_000
    num_queued: int = 0
    destination: str = "pacs"

    @property
    def num_studies(self) -> int:
        """Studies that hold the images."""
        return max(self.num_instances // IMAGES_PER_STUDY, 1)


def fill(database: Database, wanted: Fill) -> None:
    """Fill an empty index, and let the database look at it once."""
    studies = wanted.num_studies
    ended = studies - min(wanted.num_queued, studies)
    with database.begin() as transaction:
        connection = transaction.session.connection()
        _fill_studies(connection, studies)
        _fill_images(connection, studies)
        _fill_jobs(connection, studies, ended=ended)
        _fill_results(connection, ended, destination=wanted.destination)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name != "sqlite":
            # as its autovacuum does; SQLite's planner is not told how many rows there are
            _set_counters(connection)
            connection.exec_driver_sql("ANALYZE")


def _numbers(count: int) -> sa.CTE:
    """Count from 0."""
    numbers = sa.select(sa.literal(0, sa.BigInteger()).label("n")).cte("numbers", recursive=True)
    return numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < count - 1))


def _text(number: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    return sa.cast(number, sa.String)


def _digest(prefix: str, number: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """Make 64 characters of a number."""
    padding = sa.literal("0" * 50 + prefix)
    return padding + sa.func.substr(_text(number + 10**12), 1, 14 - len(prefix))


def _moment(seconds: float = 0.0) -> sa.ColumnElement[datetime]:
    return sa.literal(NOW + timedelta(seconds=seconds), UtcDateTime())


def _insert(
    connection: sa.Connection,
    row: type[Base],
    values: dict[str, sa.ColumnElement[object] | object],
    numbers: sa.CTE,
) -> None:
    """Enter one row for each number."""
    columns = [
        value
        if isinstance(value, sa.ColumnElement)
        else sa.literal(value, row.__table__.c[name].type)
        for name, value in values.items()
    ]
    query = sa.select(*columns).select_from(numbers)
    connection.execute(sa.insert(row).from_select(list(values), query))


def _fill_studies(connection: sa.Connection, studies: int) -> None:
    numbers = _numbers(studies)
    n = numbers.c.n
    _insert(
        connection,
        StudyRow,
        {
            "id": n + 1,
            "study_instance_uid": sa.literal("2.25.1") + _text(n + 10**9),
            "patient_key": _digest("a", n),
            "state": StudyState.COMPLETE,
            "generation": 1,
            "num_instances": IMAGES_PER_STUDY,
            "num_duplicates": 0,
            "first_received_at": _moment(),
            "last_received_at": _moment(20),
            "released_at": _moment(21),
            "calling_ae_title": sa.literal("CT") + _text(n % SENDERS),
            "is_interrupted": False,
        },
        numbers,
    )
    numbers = _numbers(studies)
    n = numbers.c.n
    _insert(
        connection,
        SeriesRow,
        {
            "id": n + 1,
            "study_id": n + 1,
            "series_instance_uid": sa.literal("2.25.2") + _text(n + 10**9),
        },
        numbers,
    )


def _fill_images(connection: sa.Connection, studies: int) -> None:
    numbers = _numbers(studies * IMAGES_PER_STUDY)
    n = numbers.c.n
    # whole numbers, as both databases divide; SQLAlchemy would divide as Python does
    study = n.op("/")(sa.literal_column(str(IMAGES_PER_STUDY))) + 1
    digest = _digest("", n)
    _insert(
        connection,
        InstanceRow,
        {
            "study_id": study,
            "series_id": study,
            "generation": 1,
            "sop_instance_uid": sa.literal("2.25.3") + _text(n + 10**12),
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "calling_ae_title": "CT1",
            "sha256": digest,
            "num_bytes": 526_336,
            "path": sa.literal("received/00/") + digest + ".dcm",
            "geometry_json": '{"position": [0.0, 0.0, 0.0], "orientation": [1, 0, 0, 0, 1, 0]}',
            "received_at": _moment(),
        },
        numbers,
    )


def _fill_jobs(connection: sa.Connection, studies: int, *, ended: int) -> None:
    numbers = _numbers(studies)
    n = numbers.c.n
    _insert(
        connection,
        CompletionRow,
        {
            "study_id": n + 1,
            "generation": 1,
            "num_instances": IMAGES_PER_STUDY,
            "last_received_at": _moment(20),
            "completed_at": _moment(21),
            "evidence": "geometry",
        },
        numbers,
    )
    for first, last, state in ((0, ended, JobState.SUCCEEDED), (ended, studies, JobState.QUEUED)):
        if first == last:
            continue
        numbers = _numbers(last - first)
        n = numbers.c.n + first
        is_ended = state is JobState.SUCCEEDED
        outcome = sa.case(
            *((n % 100 < share, name) for share, name in ((80, OUTCOMES[0]), (95, OUTCOMES[1]))),
            else_=OUTCOMES[2],
        )
        _insert(
            connection,
            JobRow,
            {
                "id": n + 1,
                "study_id": n + 1,
                "generation": 1,
                "run": 1,
                "state": state,
                "priority": Priority.ROUTINE,
                "attempts": int(is_ended),
                "outcome": outcome if is_ended else sa.null(),
                "findings_json": FINDINGS if is_ended else sa.null(),
                "analysed_json": ANALYSED if is_ended else sa.null(),
                "selection_json": SELECTION if is_ended else sa.null(),
                "created_at": _moment(21),
                "started_at": _moment(22) if is_ended else sa.null(),
                "finished_at": _moment(25) if is_ended else sa.null(),
            },
            numbers,
        )


def _fill_results(connection: sa.Connection, ended: int, *, destination: str) -> None:
    if not ended:
        return
    for position, kind in enumerate(KINDS):
        numbers = _numbers(ended)
        n = numbers.c.n
        digest = _digest("r", n)
        _insert(
            connection,
            ResultRow,
            {
                "id": n * len(KINDS) + position + 1,
                "job_id": n + 1,
                "kind": kind,
                "sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.33",
                "sop_instance_uid": sa.literal(f"2.25.4{position}") + _text(n + 10**9),
                "path": sa.literal("results/0/") + digest + ".dcm",
                "sha256": digest,
                "position": position,
                "created_at": _moment(25),
            },
            numbers,
        )
    numbers = _numbers(ended * len(KINDS))
    _insert(
        connection,
        DeliveryRow,
        {
            "result_id": numbers.c.n + 1,
            "destination": destination,
            "state": DeliveryState.SENT,
            "attempts": 1,
            "created_at": _moment(25),
            "opened_at": _moment(25),
            "last_attempt_at": _moment(26),
            "sent_at": _moment(26),
            "commitment": CommitmentState.COMMITTED,
            "committed_at": _moment(27),
        },
        numbers,
    )


def _set_counters(connection: sa.Connection) -> None:
    """Let PostgreSQL count on from the numbers that were given; SQLite does by itself."""
    for table in ("study", "series", "job", "result"):
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # noqa: S608
        )

"""Tables of the index, private to storage: everything handed out is a record.

Only what SQLite and PostgreSQL both do is used. The queue keeps its own tables in the same
database (`workflow_status`, `queues` and others); none of ours has such a name.
"""

from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import sqlalchemy as sa
from sqlalchemy import ForeignKey, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.records import (
    CommitmentState,
    ConflictKind,
    DeliveryState,
    JobState,
    Priority,
    StudyState,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")

MAX_UID_CHARS = 64
MAX_AE_TITLE_CHARS = 16
SHA256_CHARS = 64
MAX_NAME_CHARS = 64
MAX_PATH_CHARS = 255
AUTOINCREMENT = {"sqlite_autoincrement": True}
"""A number is never given twice, even after its row was deleted: jobs are named after studies."""


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware time, kept in UTC; SQLite stores it without its zone, PostgreSQL with."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Turn an aware time into UTC; a naive one is a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times must be aware of their zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give every time the zone that it was stored in."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


Key = Annotated[int, mapped_column(primary_key=True)]
Uid = Annotated[str, mapped_column(String(MAX_UID_CHARS))]
AETitle = Annotated[str, mapped_column(String(MAX_AE_TITLE_CHARS))]
Sha256 = Annotated[str, mapped_column(String(SHA256_CHARS))]
Name = Annotated[str, mapped_column(String(MAX_NAME_CHARS))]
RelativePath = Annotated[str, mapped_column(String(MAX_PATH_CHARS))]


class Base(DeclarativeBase):
    """Base of the tables; its metadata holds ours and nothing else."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - the name and the shape are SQLAlchemy's
        datetime: UtcDateTime(),
        StudyState: sa.Enum(
            StudyState, native_enum=False, length=16, create_constraint=True, name="state"
        ),
        JobState: sa.Enum(
            JobState, native_enum=False, length=16, create_constraint=True, name="state"
        ),
        Priority: sa.Enum(
            Priority, native_enum=False, length=16, create_constraint=True, name="priority"
        ),
        DeliveryState: sa.Enum(
            DeliveryState, native_enum=False, length=16, create_constraint=True, name="state"
        ),
        CommitmentState: sa.Enum(
            CommitmentState, native_enum=False, length=16, create_constraint=True, name="commitment"
        ),
        ConflictKind: sa.Enum(
            ConflictKind, native_enum=False, length=16, create_constraint=True, name="kind"
        ),
    }


class StudyRow(Base):
    """A study; its row is what everybody who changes the study locks first."""

    __tablename__ = "study"
    __table_args__ = (
        sa.CheckConstraint("generation >= 0", name="generation"),
        sa.Index(None, "state", "last_received_at"),
        sa.Index(None, "calling_ae_title"),
        AUTOINCREMENT,
    )

    id: Mapped[Key]
    study_instance_uid: Mapped[Uid] = mapped_column(unique=True)
    patient_key: Mapped[str] = mapped_column(String(128))
    state: Mapped[StudyState]
    generation: Mapped[int]
    num_instances: Mapped[int]
    num_duplicates: Mapped[int]
    first_received_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    calling_ae_title: Mapped[AETitle]
    is_interrupted: Mapped[bool]
    longest_pause_seconds: Mapped[float | None]
    expected_instances: Mapped[int | None]
    expected_by: Mapped[str | None] = mapped_column(String(MAX_NAME_CHARS))
    files_removed_at: Mapped[datetime | None]


class SeriesRow(Base):
    """A series, which belongs to one study for ever."""

    __tablename__ = "series"
    __table_args__ = (AUTOINCREMENT,)

    id: Mapped[Key]
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    series_instance_uid: Mapped[Uid] = mapped_column(unique=True)


class InstanceRow(Base):
    """A received image, and the generation of its study that it came for."""

    __tablename__ = "instance"
    __table_args__ = (
        sa.Index(None, "study_id", "generation"),
        sa.Index(None, "path"),
        AUTOINCREMENT,
    )

    id: Mapped[Key]
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), index=True)
    generation: Mapped[int]
    sop_instance_uid: Mapped[Uid] = mapped_column(unique=True)
    sop_class_uid: Mapped[Uid]
    transfer_syntax_uid: Mapped[Uid]
    calling_ae_title: Mapped[AETitle]
    sha256: Mapped[Sha256]
    num_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    path: Mapped[RelativePath]
    geometry_json: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[datetime]


class CompletionRow(Base):
    """That a study was complete, and on what evidence."""

    __tablename__ = "completion"
    __table_args__ = (UniqueConstraint("study_id", "generation"), AUTOINCREMENT)

    id: Mapped[Key]
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    generation: Mapped[int]
    num_instances: Mapped[int]
    last_received_at: Mapped[datetime]
    completed_at: Mapped[datetime]
    evidence: Mapped[Name]


class ConflictRow(Base):
    """A received file that was put aside."""

    __tablename__ = "conflict"
    __table_args__ = (AUTOINCREMENT,)

    id: Mapped[Key]
    kind: Mapped[ConflictKind]
    study_instance_uid: Mapped[Uid] = mapped_column(index=True)
    sop_instance_uid: Mapped[Uid]
    calling_ae_title: Mapped[AETitle]
    sha256: Mapped[Sha256]
    path: Mapped[RelativePath]
    recorded_at: Mapped[datetime]


class JobRow(Base):
    """The analysis of one generation of a study."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("study_id", "generation"),
        sa.ForeignKeyConstraint(
            ["study_id", "generation"], ["completion.study_id", "completion.generation"]
        ),
        sa.Index(None, "state", "created_at"),
        sa.Index(None, "state", "outcome"),
        sa.Index(None, "finished_at"),
        AUTOINCREMENT,
    )

    id: Mapped[Key]
    study_id: Mapped[int]
    generation: Mapped[int]
    run: Mapped[int]
    state: Mapped[JobState]
    priority: Mapped[Priority] = mapped_column(default=Priority.ROUTINE)
    attempts: Mapped[int]
    executor_id: Mapped[str | None] = mapped_column(String(128))
    outcome: Mapped[str | None] = mapped_column(String(MAX_NAME_CHARS))
    reason: Mapped[str | None] = mapped_column(String(MAX_NAME_CHARS))
    message: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(String(128))
    findings_json: Mapped[str | None] = mapped_column(Text)
    analysed_json: Mapped[str | None] = mapped_column(Text)
    selection_json: Mapped[str | None] = mapped_column(Text)
    stages_json: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class ResultRow(Base):
    """An object that a job made."""

    __tablename__ = "result"
    __table_args__ = (AUTOINCREMENT,)

    id: Mapped[Key]
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), index=True)
    kind: Mapped[Name]
    sop_class_uid: Mapped[Uid]
    sop_instance_uid: Mapped[Uid] = mapped_column(unique=True)
    path: Mapped[RelativePath]
    sha256: Mapped[Sha256]
    position: Mapped[int]
    created_at: Mapped[datetime]


class DeliveryRow(Base):
    """One result on its way to one destination."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("result_id", "destination"),
        # to count all there are, and to find the few that were not sent
        sa.Index(None, "state", "destination", "commitment"),
        sa.Index(None, "sent_at"),
        AUTOINCREMENT,
    )

    id: Mapped[Key]
    result_id: Mapped[int] = mapped_column(ForeignKey("result.id"))
    destination: Mapped[Name]
    state: Mapped[DeliveryState]
    attempts: Mapped[int]
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    last_attempt_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    commitment: Mapped[CommitmentState] = mapped_column(default=CommitmentState.NOT_ASKED)
    commitment_error: Mapped[str | None] = mapped_column(Text)
    committed_at: Mapped[datetime | None]


class RefusalRow(Base):
    """What a destination does not take."""

    __tablename__ = "refusal"
    __table_args__ = (AUTOINCREMENT,)

    id: Mapped[Key]
    destination: Mapped[Name] = mapped_column(index=True)
    uid: Mapped[Uid]
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    answer: Mapped[str] = mapped_column(Text)
    refused_at: Mapped[datetime]


class CommitmentRow(Base):
    """A request of this node that a destination commit to results (PS3.4 J.3.2)."""

    __tablename__ = "commitment"
    __table_args__ = (sa.Index(None, "job_id", "destination"), AUTOINCREMENT)

    id: Mapped[Key]
    transaction_uid: Mapped[Uid] = mapped_column(unique=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    destination: Mapped[Name]
    attempt: Mapped[int]
    requested_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]


class CommitmentItemRow(Base):
    """One result that a request of this node names."""

    __tablename__ = "commitment_item"

    commitment_id: Mapped[int] = mapped_column(ForeignKey("commitment.id"), primary_key=True)
    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("delivery.id"), primary_key=True, index=True
    )


class CommitmentRequestRow(Base):
    """A request of a sender that this node commit to images, and what was answered."""

    __tablename__ = "commitment_request"
    __table_args__ = (sa.Index(None, "calling_ae_title", "transaction_uid"), AUTOINCREMENT)

    id: Mapped[Key]
    transaction_uid: Mapped[Uid]
    calling_ae_title: Mapped[AETitle]
    items_json: Mapped[str] = mapped_column(Text)
    is_duplicate: Mapped[bool]
    attempts: Mapped[int]
    requested_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]


class AuditRow(Base):
    """One message of the audit trail; each holds the digest of the one before it."""

    __tablename__ = "audit"
    __table_args__ = (sa.Index(None, "forwarded_at"), AUTOINCREMENT)

    id: Mapped[Key]
    recorded_at: Mapped[datetime]
    event: Mapped[Name]
    outcome: Mapped[int]
    message_json: Mapped[str] = mapped_column(Text)
    previous_sha256: Mapped[Sha256]
    sha256: Mapped[Sha256] = mapped_column(unique=True)
    forwarded_at: Mapped[datetime | None]


class WorkerRow(Base):
    """A worker process and its last sign of life, by the database's clock."""

    __tablename__ = "worker"

    executor_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    role: Mapped[Name]
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    device: Mapped[Name]
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]


class DrainRow(Base):
    """A role whose workers take no new work."""

    __tablename__ = "drain"

    role: Mapped[str] = mapped_column(String(MAX_NAME_CHARS), primary_key=True)
    started_at: Mapped[datetime]


def as_record(kind: type[Record], *rows: Base) -> Record:
    """Copy what a record holds out of the rows that know it; the first row has precedence."""
    return kind(
        **{
            field.name: next(
                getattr(row, field.name) for row in rows if hasattr(type(row), field.name)
            )
            for field in fields(kind)
        }
    )

"""Frozen values that storage hands out, and the states with the moves between them.

Rows never leave storage; only storage changes a state. Times are aware and in UTC, paths are
relative to the root of the file store.
"""

from storage.records.accounts import AccountRecord, AccountRole, SessionRecord
from storage.records.audit import AuditFault, AuditHead, AuditRecord
from storage.records.commitments import (
    CommitmentRecord,
    CommitmentRequestRecord,
    HeldInstance,
    Reference,
)
from storage.records.deliveries import (
    Backlog,
    CommitmentState,
    DeliveryRecord,
    DeliveryState,
    RefusalRecord,
)
from storage.records.jobs import JobRecord, JobState, NewResult, Priority, ResultRecord
from storage.records.listing import (
    FinishedJob,
    ListedStudy,
    SentDelivery,
    Standing,
    StudyFilter,
)
from storage.records.notifications import NotificationRecord, NotificationState
from storage.records.studies import (
    CompleteStudy,
    ConflictKind,
    ConflictRecord,
    FinishedStudy,
    Habits,
    PlacedImage,
    ReceivedInstance,
    Registration,
    StoredInstance,
    StudyRecord,
    StudyState,
)
from storage.records.workers import DrainRecord, NewWorker, WorkerRecord

__all__ = [
    "AccountRecord",
    "AccountRole",
    "AuditFault",
    "AuditHead",
    "AuditRecord",
    "Backlog",
    "CommitmentRecord",
    "CommitmentRequestRecord",
    "CommitmentState",
    "CompleteStudy",
    "ConflictKind",
    "ConflictRecord",
    "DeliveryRecord",
    "DeliveryState",
    "DrainRecord",
    "FinishedJob",
    "FinishedStudy",
    "Habits",
    "HeldInstance",
    "JobRecord",
    "JobState",
    "ListedStudy",
    "NewResult",
    "NewWorker",
    "NotificationRecord",
    "NotificationState",
    "PlacedImage",
    "Priority",
    "ReceivedInstance",
    "Reference",
    "RefusalRecord",
    "Registration",
    "ResultRecord",
    "SentDelivery",
    "SessionRecord",
    "Standing",
    "StoredInstance",
    "StudyFilter",
    "StudyRecord",
    "StudyState",
    "WorkerRecord",
]

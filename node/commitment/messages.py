"""What the messages of storage commitment hold (PS3.4 J.3.2, J.3.3), as values."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext

from config.errors import MidlineError
from node.peers import PLAIN_SYNTAXES
from node.reception import UID_PATTERN
from storage.records import Reference

T = TypeVar("T")

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class."""
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Its one, well-known SOP Instance."""
REQUEST = 1
"""Action Type ID: request storage commitment."""
ALL_COMMITTED = 1
SOME_FAILED = 2
"""Event Type IDs: everything is kept safe, or not everything."""
MOST_REFERENCES = 20_000
"""Objects that one message may name; the largest studies have some thousands."""


class FailureReason(IntEnum):
    """Why an object is not committed to: Failure Reason (0008,1197), PS3.3 C.14.1.1."""

    PROCESSING_FAILURE = 0x0110
    """A general failure in processing."""
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    """It is not held."""
    CLASS_INSTANCE_CONFLICT = 0x0119
    """It is held under another SOP class."""
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    """Nobody commits to objects of this class."""
    DUPLICATE_TRANSACTION_UID = 0x0131
    """The Transaction UID is in use already."""
    RESOURCE_LIMITATION = 0x0213
    """There is no room for it now."""


class MessageStatus(IntEnum):
    """Statuses of N-ACTION and N-EVENT-REPORT that the node answers (PS3.7 10.1.1, 10.1.4)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    NO_SUCH_EVENT_TYPE = 0x0113
    INVALID_ARGUMENT_VALUE = 0x0115
    NO_SUCH_ACTION_TYPE = 0x0123
    NOT_AUTHORIZED = 0x0124
    RESOURCE_LIMITATION = 0x0213


class MessageError(MidlineError):
    """A message that is not acted on; carries the status to answer."""

    def __init__(self, status: MessageStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """Action Information of a request (PS3.4 Table J.3-1)."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Report:
    """Event Information of an answer (PS3.4 Table J.3-2).

    Attributes
    ----------
    committed
        What is kept safe.
    failed
        What is not, each with its Failure Reason.
    """

    transaction_uid: str
    committed: tuple[Reference, ...] = ()
    failed: tuple[tuple[Reference, int], ...] = ()

    @property
    def event_type(self) -> int:
        """Event Type ID that says so."""
        return SOME_FAILED if self.failed else ALL_COMMITTED


def commitment_context() -> PresentationContext:
    """Presentation context in which commitment is asked for, and reported."""
    return build_context(STORAGE_COMMITMENT, list(PLAIN_SYNTAXES))


def encode_request(request: Request) -> Dataset:
    """Make the Action Information of a request."""
    ds = Dataset()
    ds.TransactionUID = request.transaction_uid
    ds.ReferencedSOPSequence = list(map(_item, request.references))
    return ds


def read_request(ds: Dataset) -> Request:
    """Read the Action Information of a request.

    Raises
    ------
    MessageError
        If it is not what the standard requires.
    """
    transaction_uid, references = _uid(ds, "TransactionUID"), _references(ds)
    if not references:
        raise _invalid("ReferencedSOPSequence is empty")
    return Request(transaction_uid, references)


def encode_report(report: Report) -> Dataset:
    """Make the Event Information of an answer."""
    ds = Dataset()
    ds.TransactionUID = report.transaction_uid
    if report.committed:
        ds.ReferencedSOPSequence = list(map(_item, report.committed))
    if report.failed:
        ds.FailedSOPSequence = [_item(reference) for reference, _ in report.failed]
        for item, (_, reason) in zip(ds.FailedSOPSequence, report.failed, strict=True):
            item.FailureReason = reason
    return ds


def read_report(event_type: int | None, ds: Dataset) -> Report:
    """Read the Event Information of an answer.

    Raises
    ------
    MessageError
        If it is not what the standard requires.
    """
    if event_type not in (ALL_COMMITTED, SOME_FAILED):
        raise MessageError(MessageStatus.NO_SUCH_EVENT_TYPE, "unknown Event Type ID")
    transaction_uid, committed = _uid(ds, "TransactionUID"), _references(ds)
    failed: tuple[tuple[Reference, int], ...] = ()
    if event_type == SOME_FAILED:
        failed = _each(ds, "FailedSOPSequence", lambda each: (_reference(each), _reason(each)))
    return Report(transaction_uid, committed, failed)


def _references(ds: Dataset) -> tuple[Reference, ...]:
    return _each(ds, "ReferencedSOPSequence", _reference)


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item


def _reference(item: Dataset) -> Reference:
    return Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))


def _reason(item: Dataset) -> int:
    value = item.get("FailureReason")
    return value if isinstance(value, int) else FailureReason.PROCESSING_FAILURE


def _each(ds: Dataset, keyword: str, read: Callable[[Dataset], T]) -> tuple[T, ...]:
    items = ds.get(keyword) or ()
    if len(items) > MOST_REFERENCES:
        raise _invalid(f"{keyword} has more than {MOST_REFERENCES} items")
    return tuple(map(read, items))


def _uid(ds: Dataset, keyword: str) -> str:
    value = str(ds.get(keyword) or "")
    if not UID_PATTERN.fullmatch(value):
        raise _invalid(f"{keyword} is no UID")
    return value


def _invalid(message: str) -> MessageError:
    return MessageError(MessageStatus.INVALID_ARGUMENT_VALUE, message)

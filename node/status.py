"""Status codes of DIMSE and HTTP that the node answers or understands, as data with their source.

PS3.4 Annex B (Storage Service Class), PS3.7 Annex C (general), PS3.18 10.5 (Store Transaction).
What a *received* status means for a delivery is told by `verdict_of` and its like.
"""

from enum import Enum, IntEnum


class StoreStatus(IntEnum):
    """Status of a C-STORE response; PS3.4 Table B.2-1 and PS3.7 Annex C."""

    SUCCESS = 0x0000
    """The image is on the disk and in the index, now or since an earlier request."""
    DUPLICATE_SOP_INSTANCE = 0x0111
    """A known SOP Instance UID with other content; the first one is kept."""
    NOT_AUTHORIZED = 0x0124
    """The sender may not store."""
    OUT_OF_RESOURCES = 0xA700
    """There is no room for the image; later there may be."""
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    """The data set is not what the request says, or cannot be filed under a patient and study."""
    CANNOT_UNDERSTAND = 0xC000
    """The data set or an identifier is malformed."""
    PROCESSING_FAILURE = 0xC100
    """An unexpected fault of the node; nothing was kept."""
    PATIENT_CONFLICT = 0xC102
    """A known study came under another patient, or a known series under another study."""


class Verdict(Enum):
    """What the sender of an object does next."""

    DONE = "DONE"
    """The receiver holds it."""
    RETRY = "RETRY"
    """The answer may be another one later."""
    HOLD = "HOLD"
    """The answer stays until somebody changes the setup, here or there."""
    DEAD = "DEAD"
    """This object is not taken as it is."""


RETRYABLE = frozenset((0x0110, 0x0213))
"""Processing failure and resource limitation (PS3.7 C.5): the peer may answer otherwise later."""
NOT_ALLOWED = frozenset((StoreStatus.NOT_AUTHORIZED, 0x0214))
"""Not authorized: whatever we send, until the peer is told to take it."""
SOP_CLASS_NOT_SUPPORTED = 0x0122
"""PS3.7 C.5.18; as a failure reason, PS3.18 Table I.2-2."""
TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122
"""Failure reason; PS3.18 Table I.2-2."""


def verdict_of(status: int) -> Verdict:
    """Tell what a received C-STORE status means for the delivery of our object.

    Parameters
    ----------
    status
        Status (0000,0900) of the C-STORE response.

    Returns
    -------
    Verdict
        DONE for success and warnings; also for a duplicate, since our UIDs and bytes are stable:
        what the peer holds under this UID is this object.
    """
    if status in (StoreStatus.SUCCESS, StoreStatus.DUPLICATE_SOP_INSTANCE):
        return Verdict.DONE
    if 0xB000 <= status <= 0xBFFF or status == 0x0001:
        return Verdict.DONE
    if 0xA700 <= status <= 0xA7FF or status in RETRYABLE:
        return Verdict.RETRY
    return Verdict.HOLD if status in NOT_ALLOWED else Verdict.DEAD


def is_warning(status: int) -> bool:
    """Whether a C-STORE status says that the object was kept, but perhaps changed."""
    return verdict_of(status) is Verdict.DONE and status not in (
        StoreStatus.SUCCESS,
        StoreStatus.DUPLICATE_SOP_INSTANCE,
    )


def verdict_of_failure(reason: int) -> Verdict:
    """Tell what a Failure Reason (0008,1197) means for the delivery of our object.

    The numbers are those of C-STORE (PS3.18 Table I.2-2), but what is told as a failure is none
    of its successes and warnings.
    """
    verdict = verdict_of(reason)
    is_held = reason == StoreStatus.DUPLICATE_SOP_INSTANCE
    return Verdict.DEAD if verdict is Verdict.DONE and not is_held else verdict


EXPLAINED = frozenset((200, 202, 409))
"""Answers to a Store request whose payload tells what became of the object (PS3.18 10.5.3)."""
PASSING = frozenset((408, 425, 429))
"""Time-out, too early, too many requests (RFC 9110, RFC 8470, RFC 6585)."""
MISPLACED = frozenset((401, 403, 404, 405, 407, 410))
"""We are not let in, or there is no store at this URL."""


def verdict_of_http(status: int) -> Verdict | None:
    """Tell what an HTTP status means for the one object of a Store request (PS3.18 10.5.3).

    Returns
    -------
    Verdict or None
        None if the payload of the answer has to be read.
    """
    if status in EXPLAINED:
        return None
    if status in MISPLACED or 300 <= status <= 399 or status == 501:
        return Verdict.HOLD
    if 400 <= status <= 499 and status not in PASSING:
        return Verdict.DEAD
    return Verdict.RETRY

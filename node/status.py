"""DIMSE status codes that the node answers or understands, as data with their source.

PS3.4 Annex B (Storage Service Class), PS3.7 Annex C (general). What a *received* status means for a
delivery is told by `verdict_of`.
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
    """What the sender of a C-STORE does next."""

    DONE = "DONE"
    RETRY = "RETRY"
    DEAD = "DEAD"


RETRYABLE = frozenset((0x0110, 0x0213))
"""Processing failure and resource limitation (PS3.7 C.5): the peer may answer otherwise later."""


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
    return Verdict.DEAD

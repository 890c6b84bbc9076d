"""Is a received data set what its C-STORE request says? Checks on bytes; nothing is stored here.

The order of the checks, and the status that each failure earns, are those of `StoreStatus`. Nothing
is corrected: a data set is accepted as it came, or it is not accepted.
"""

import logging
import re
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, cast

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from config.errors import MidlineError, UnreadableInputError
from ml.readers.part10 import CountedStream, inflate
from node.evidence import placement_of
from node.pseudonyms import digest_of
from node.status import StoreStatus

logger = logging.getLogger(__name__)

UID_PATTERN = re.compile(r"[0-9][0-9.]{0,63}")
"""PS3.5 9.1 as far as safety needs it: digits and dots, at most 64; some senders pad with zeros."""
PIXEL_DATA = 0x7FE00010
IDENTIFYING = (
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "PatientID",
    "IssuerOfPatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
)
FUNCTIONAL_GROUPS = (0x52009229, 0x52009230)
"""Shared and per frame (PS3.3 C.7.6.16)."""
LARGEST_FUNCTIONAL_GROUPS_BYTES = 1 << 20
"""Holds no more parts than a whole data set may; of a frame, one or two thousand are usual."""
UNDEFINED_LENGTH = 0xFFFFFFFF
LARGEST_COPIED_BYTES = 4096
"""Longer values are not copied: nothing here looks at them."""


class ReceptionError(MidlineError):
    """A data set that is not accepted; carries the status to answer."""

    def __init__(self, status: StoreStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """A C-STORE request (PS3.7 9.1.1).

    Attributes
    ----------
    sop_class_uid, sop_instance_uid
        Affected SOP Class and Instance UID.
    transfer_syntax_uid
        Of its presentation context.
    data_set
        The encoded data set, as received.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


@dataclass(frozen=True)
class Identity:
    """To whom and what a data set belongs.

    Attributes
    ----------
    study_instance_uid, series_instance_uid
        As in the data set, valid.
    patient_digest
        Of issuer and Patient ID: tells patients apart; to be keyed before it is kept.
    geometry_json
        Where the image lies (`node.evidence.Placement`); None if it cannot be told.
    """

    study_instance_uid: str
    series_instance_uid: str
    patient_digest: str
    geometry_json: str | None = None


def identify(request: Request, *, max_inflated_bytes: int) -> Identity:
    """Check a received data set, and tell to whom it belongs.

    Raises
    ------
    ReceptionError
        With CANNOT_UNDERSTAND for what cannot be parsed or is cut short, and
        DATA_SET_DOES_NOT_MATCH_SOP_CLASS for what is not what the request says, is no CT, or names
        no patient, study or series.
    """
    if not UID_PATTERN.fullmatch(request.sop_instance_uid):
        raise ReceptionError(StoreStatus.CANNOT_UNDERSTAND, "Affected SOP Instance UID is no UID")
    header = _parsed(request, max_inflated_bytes)
    for keyword, expected in (
        ("SOPClassUID", request.sop_class_uid),
        ("SOPInstanceUID", request.sop_instance_uid),
        ("Modality", "CT"),
    ):
        if _text(header, keyword) != expected:
            raise ReceptionError(
                StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
                f"{keyword} is not what the request says",
            )
    identifiers = {
        keyword: _text(header, keyword)
        for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
    }
    for keyword, value in identifiers.items():
        if not value:
            raise ReceptionError(
                StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, f"{keyword} is missing"
            )
        if keyword != "PatientID" and not UID_PATTERN.fullmatch(value):
            raise ReceptionError(StoreStatus.CANNOT_UNDERSTAND, f"{keyword} is no UID")
    return Identity(
        study_instance_uid=identifiers["StudyInstanceUID"],
        series_instance_uid=identifiers["SeriesInstanceUID"],
        patient_digest=digest_of(header),
        geometry_json=_geometry_of(header, request),
    )


def _geometry_of(header: Dataset, request: Request) -> str | None:
    """Write down where an image lies; an image that does not say it is as good as any other."""
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = UID(request.transfer_syntax_uid)
    try:
        return placement_of(header).to_json()
    except Exception as error:  # noqa: BLE001 - pydicom raises anything on foreign bytes
        logger.debug("an image does not say where it lies: %s", type(error).__name__)
        return None


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value).strip().rstrip("\0")


def _parsed(request: Request, max_inflated_bytes: int) -> Dataset:
    """Parse the whole data set, long values only to their end (PS3.5 7.1)."""
    syntax = UID(request.transfer_syntax_uid)
    try:
        encoded = request.data_set
        if syntax == DeflatedExplicitVRLittleEndian:
            encoded = inflate(encoded, max_inflated_bytes)
        header = read_dataset(
            cast("BinaryIO", CountedStream(BytesIO(encoded))),
            is_implicit_VR=syntax.is_implicit_VR,
            is_little_endian=syntax.is_little_endian,
            defer_size=LARGEST_COPIED_BYTES,
        )
        _copy_functional_groups(header, encoded)
        whole = _reaches_the_end(header, len(encoded))
        pictured = _pixels_are_whole(header, encapsulated=syntax.is_encapsulated)
        # values are decoded lazily: here, where a foreign byte may fail, and not later
        for keyword in IDENTIFYING:
            _text(header, keyword)
    except UnreadableInputError as error:
        raise ReceptionError(StoreStatus.CANNOT_UNDERSTAND, str(error)) from error
    except Exception as error:  # pydicom raises anything on foreign bytes
        raise ReceptionError(
            StoreStatus.CANNOT_UNDERSTAND, "the data set cannot be parsed"
        ) from error
    if not whole:
        raise ReceptionError(StoreStatus.CANNOT_UNDERSTAND, "the data set is cut short")
    if not pictured:
        raise ReceptionError(
            StoreStatus.CANNOT_UNDERSTAND, "fewer pixels than rows, columns and bits announce"
        )
    return header


def _copy_functional_groups(header: Dataset, encoded: bytes) -> None:
    """Copy what says where the frames of an enhanced image lie, although it is long."""
    for tag, element in list(header.items()):
        if tag not in FUNCTIONAL_GROUPS or not isinstance(element, RawDataElement):
            continue
        value = encoded[element.value_tell : element.value_tell + element.length]
        if len(value) <= LARGEST_FUNCTIONAL_GROUPS_BYTES:
            header[tag] = element._replace(value=value)


def _reaches_the_end(header: Dataset, length: int) -> bool:
    """Whether the elements, in the order received, fill the received bytes to their end.

    pydicom takes a value that is cut short for whole, and ends in silence where an element's header
    is cut. An element of undefined length was read up to its delimiter.
    """
    elements = list(header.values())
    if not elements:
        return False
    ends = [
        element.value_tell + element.length
        for element in elements
        if isinstance(element, RawDataElement) and element.length != UNDEFINED_LENGTH
    ]
    last = elements[-1]
    is_open = not isinstance(last, RawDataElement) or last.length == UNDEFINED_LENGTH
    return max(ends, default=0) <= length if is_open else max(ends) == length


def _pixels_are_whole(header: Dataset, *, encapsulated: bool) -> bool:
    """Whether there are pixels, as many as rows, columns and bits announce (PS3.5 8.1.1)."""
    if PIXEL_DATA not in header:
        return False
    if encapsulated:
        return True
    pixels = int(header.get("Rows") or 0) * int(header.get("Columns") or 0)
    frames = int(header.get("NumberOfFrames") or 1)
    samples = int(header.get("SamplesPerPixel") or 1)
    announced = pixels * frames * samples * int(header.get("BitsAllocated") or 0) // 8
    element = header.get_item(PIXEL_DATA, keep_deferred=True)
    held = element.length if isinstance(element, RawDataElement) else 0
    return 0 < announced <= held

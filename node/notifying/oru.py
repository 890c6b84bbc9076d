"""A message as HL7 v2.5.1 ORU^R01, an unsolicited observation (HL7 v2.5.1, 7.3.1).

hl7apy holds it against the structure that the standard prescribes. Results are preliminary (P)
everywhere: no person has verified them.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.exceptions import HL7apyException

from config.errors import PeerRefusedError
from config.settings import HL7ReceiverSettings
from node.notifying.notice import Notice
from node.results.outcomes import Outcome

VERSION = "2.5.1"
PRELIMINARY = "P"
ABNORMAL = "A"
SERVICE = ("ICH", "AI intracranial haemorrhage in head CT", "99MIDLINE")
OUTCOME = ("OUTCOME", "AI result", "99MIDLINE")
STATEMENT = ("STATEMENT", "AI statement", "99MIDLINE")
DISCLAIMER = ("DISCLAIMER", "Limits of use", "99MIDLINE")
REASON = ("REASON", "Reason", "99MIDLINE")
STUDY = ("110180", "Study Instance UID", "DCM")
UNNAMED = "^^^^^^U"
"""PID-5 of a patient whose name is not told (HL7 table 0200)."""
ESCAPES = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": " ", "\n": " "}
)
"""HL7 v2.5.1, 2.7.1."""


def oru_of(notice: Notice, receiver: HL7ReceiverSettings, *, now: datetime) -> str:
    """Write a message, its segments ended by carriage returns.

    Raises
    ------
    PeerRefusedError
        If what is to be told has no form in this version of HL7.
    """
    message = Message("ORU_R01", version=VERSION, validation_level=VALIDATION_LEVEL.STRICT)
    try:
        _write_header(message.msh, notice, receiver, now=now)
        result = message.add_group("ORU_R01_PATIENT_RESULT")
        if {"patient_id", "patient_name"} & set(notice.told):
            _write_patient(result.add_group("ORU_R01_PATIENT").add_segment("PID"), notice)
        order = result.add_group("ORU_R01_ORDER_OBSERVATION")
        _write_request(order.add_segment("OBR"), notice)
        for number, (term, kind, value, flag) in enumerate(_observations(notice), start=1):
            segment = order.add_group("ORU_R01_OBSERVATION").add_segment("OBX")
            segment.obx_1, segment.obx_2, segment.obx_3 = str(number), kind, _coded(term)
            segment.obx_5, segment.obx_11 = value, PRELIMINARY
            if kind == "NM":
                segment.obx_6 = "mL^milliliter^UCUM"
            if flag:
                segment.obx_8 = flag
        message.validate()
    except HL7apyException as error:
        # its text quotes values
        raise PeerRefusedError(
            f"what is to be told of job {notice.job} is no HL7 {VERSION} ({type(error).__name__})"
        ) from None
    return str(message.to_er7())


def _write_header(
    segment: Any, notice: Notice, receiver: HL7ReceiverSettings, *, now: datetime
) -> None:
    segment.msh_3 = escaped(receiver.sending_application)
    segment.msh_4 = escaped(receiver.sending_facility)
    segment.msh_5 = escaped(receiver.receiving_application)
    segment.msh_6 = escaped(receiver.receiving_facility)
    segment.msh_7 = _moment(now)
    segment.msh_9 = "ORU^R01^ORU_R01"
    segment.msh_10 = notice.message_id
    segment.msh_11 = "T" if notice.is_test else "P"
    segment.msh_18 = "UNICODE UTF-8"


def _write_patient(segment: Any, notice: Notice) -> None:
    told = notice.told
    segment.pid_1 = "1"
    segment.pid_3 = escaped(told.get("patient_id", "")) or "UNKNOWN"
    # DICOM orders and parts the components of a name as HL7 does (PS3.5 6.2.1.1)
    alphabetic = told.get("patient_name", "").partition("=")[0]
    name = "^".join(map(escaped, alphabetic.split("^")))
    segment.pid_5 = name or UNNAMED
    if told.get("patient_birth_date"):
        segment.pid_7 = escaped(told["patient_birth_date"])


def _write_request(segment: Any, notice: Notice) -> None:
    segment.obr_1 = "1"
    segment.obr_3 = f"{notice.job}^{escaped(notice.source)}"
    segment.obr_4 = _coded(SERVICE)
    segment.obr_7 = _moment(notice.finished_at)
    if notice.told.get("accession_number"):
        # as IHE Radiology scheduled workflow has it
        segment.obr_18 = escaped(notice.told["accession_number"])
    segment.obr_22 = _moment(notice.finished_at)
    segment.obr_24 = "CT"
    segment.obr_25 = PRELIMINARY


def _observations(notice: Notice) -> Iterator[tuple[tuple[str, str, str], str, str, str]]:
    """List what is observed: term, kind of value, value, flag."""
    flag = ABNORMAL if notice.outcome is Outcome.POSITIVE else ""
    yield OUTCOME, "ST", escaped(notice.outcome), flag
    yield STATEMENT, "TX", escaped(notice.statement), ""
    yield DISCLAIMER, "TX", escaped(notice.disclaimer), ""
    if notice.reason:
        yield REASON, "ST", escaped(notice.reason), ""
    if notice.told.get("study_instance_uid"):
        yield STUDY, "ST", escaped(notice.told["study_instance_uid"]), ""
    for subtype, volume_ml in notice.volume_ml.items():
        term = (f"VOLUME-{subtype}", f"Volume of {subtype}", "99MIDLINE")
        yield term, "NM", f"{volume_ml:g}", ""


def escaped(text: str) -> str:
    """Write delimiters as escape sequences."""
    return text.translate(ESCAPES)


def _coded(term: tuple[str, str, str]) -> str:
    return "^".join(map(escaped, term))


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S%z")

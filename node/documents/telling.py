"""What the node tells beside DICOM, by a message that it writes for the purpose."""

from datetime import UTC, datetime

from config.settings import HL7ReceiverSettings
from node.documents.markdown import document, verbatim
from node.notifying.notice import STATEMENTS, Notice
from node.notifying.oru import VERSION, oru_of
from node.results.outcomes import DISCLAIMER, Outcome

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def hl7() -> str:
    """Show the HL7 message of a report, with everything in it that a site may include."""
    receiver = HL7ReceiverSettings(
        name="ris", host="127.0.0.1", port=2575, receiving_application="RIS"
    )
    notice = Notice(
        message_id="0123456789abcdef0123",
        source="MIDLINE",
        product="Midline",
        version="VERSION",
        outcome=Outcome.POSITIVE,
        statement=STATEMENTS[Outcome.POSITIVE],
        disclaimer=DISCLAIMER,
        job=1,
        study=1,
        finished_at=MOMENT,
        told={
            "study_instance_uid": "STUDY-INSTANCE-UID",
            "accession_number": "ACCESSION-NUMBER",
            "patient_id": "PATIENT-ID",
            "patient_name": "FAMILY^GIVEN",
            "patient_birth_date": "19500102",
        },
        volume_ml={"SDH": 12.5},
    )
    message = oru_of(notice, receiver, now=MOMENT)
    return document(
        f"`[[hl7_receivers]]` are told of reports by HL7 {VERSION} ORU^R01 over MLLP, release 1, "
        "and acknowledge with AA; every result is preliminary. Of patient and study a message has "
        "only what `include` names; with all of it:",
        verbatim(line for line in message.split("\r") if line),
    )

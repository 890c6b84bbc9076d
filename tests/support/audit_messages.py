"""One message of everything that the node writes into the audit trail."""

from dataclasses import fields, replace
from datetime import timedelta

from node.audit import events
from node.audit.messages import Message, Participant
from storage.records import StudyRecord
from tests.support.received import CT_IMAGE_STORAGE, NOW

STUDY = StudyRecord(
    **{each.name: None for each in fields(StudyRecord)}  # type: ignore[arg-type]
    | {"id": 17, "study_instance_uid": "1.2.3.4711", "patient_key": "h1:" + "a" * 64}
)
CT1 = events.peer("CT1", "10.1.2.3")
PACS = events.peer("PACS", "pacs.hospital.example")
ALICE = Participant("midline", alternative_id="alice", address="host")
IMAGES = {CT_IMAGE_STORAGE: 36}

MESSAGES: dict[str, Message] = {
    "started": events.started(),
    "stopped": events.stopped(),
    "received": events.received(CT1, STUDY, IMAGES),
    "begins to send": events.begins_to_send(PACS, STUDY, IMAGES),
    "sent": events.sent(PACS, STUDY, IMAGES),
    "not sent": events.sent(PACS, STUDY, IMAGES, problem='PACS is "away" <now>'),
    "queried": events.queried(PACS, "1.2.840.10008.5.1.4.1.2.2.1", query=b"\x20\0\x0d\0"),
    "looked at": events.looked_at(ALICE, STUDY),
    "operated": events.operated(ALICE, STUDY, "queue retry"),
    "removed": events.removed(STUDY, reason="retention"),
    "removed by hand": events.removed(STUDY, person=ALICE, reason="retention run"),
    "trail used": events.trail_used(ALICE, "audit export"),
    "configured": events.configured(ALICE, "peers forget", "pacs"),
    "stranger": events.stranger(events.peer("", "10.9.9.9"), "an AE title that is not known"),
    "misused": events.misused(CT1, "a data set over the limit"),
    "contradicted": events.contradicted(CT1, STUDY, "a known UID with other content"),
    "contradicted, unknown": events.contradicted(CT1, None, "a known UID with other content"),
    "guarded": events.guarded(STUDY, "a SEG is of another patient"),
}
MESSAGES = {
    name: replace(message, moment=NOW + timedelta(microseconds=5), source_id="midline")
    for name, message in MESSAGES.items()
}

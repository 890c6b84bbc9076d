"""Each message is kept word by word, is what PS3.15 A.5 describes, and a log line names nobody."""

import re
from base64 import b64decode
from xml.etree import ElementTree as ET

import pytest

from node.audit.codes import Event, EventType
from node.audit.lines import as_line
from node.audit.markup import as_xml
from node.audit.messages import Message, as_json, from_json
from tests.support.audit_messages import MESSAGES, STUDY

EACH = pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
CODE = ("csd-code", "codeSystemName", "displayName", "originalText")

SCHEMA: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    # element: (required attributes, optional attributes, children in order as a pattern)
    "AuditMessage": (
        (),
        (),
        (
            r"EventIdentification (ActiveParticipant )+AuditSourceIdentification "
            r"(ParticipantObjectIdentification )*"
        ),
    ),
    "EventIdentification": (
        ("EventActionCode", "EventDateTime", "EventOutcomeIndicator"),
        (),
        r"EventID (EventTypeCode )*(EventOutcomeDescription )?",
    ),
    "ActiveParticipant": (
        ("UserID", "UserIsRequestor"),
        ("AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"),
        r"(RoleIDCode )*",
    ),
    "AuditSourceIdentification": (("AuditSourceID",), (), r"(AuditSourceTypeCode )*"),
    "AuditSourceTypeCode": (("csd-code",), (), ""),
    "ParticipantObjectIdentification": (
        ("ParticipantObjectID", "ParticipantObjectTypeCode", "ParticipantObjectTypeCodeRole"),
        (),
        (
            r"ParticipantObjectIDTypeCode (ParticipantObjectName |ParticipantObjectQuery )"
            r"(ParticipantObjectDetail )*(ParticipantObjectDescription )*"
        ),
    ),
    "ParticipantObjectDetail": (("type", "value"), (), ""),
    "ParticipantObjectDescription": ((), (), r"(SOPClass )*"),
    "SOPClass": (("UID", "NumberOfInstances"), (), ""),
    **dict.fromkeys(
        ("EventID", "EventTypeCode", "RoleIDCode", "ParticipantObjectIDTypeCode"), (CODE, (), "")
    ),
    **dict.fromkeys(
        ("EventOutcomeDescription", "ParticipantObjectName", "ParticipantObjectQuery"), ((), (), "")
    ),
}
"""The part of PS3.15 A.5.1 that the node uses."""


def check(element: ET.Element) -> None:
    required, optional, children = SCHEMA[element.tag]
    assert set(required) <= set(element.attrib) <= {*required, *optional}, element.tag
    assert re.fullmatch(children, "".join(f"{child.tag} " for child in element)), element.tag
    for child in element:
        check(child)


@EACH
def test_a_message_is_read_back_as_it_was(message: Message) -> None:
    assert from_json(as_json(message)) == message
    assert as_json(from_json(as_json(message))) == as_json(message)


@EACH
def test_a_message_is_valid_by_the_schema(message: Message) -> None:
    root = ET.fromstring(as_xml(message))  # noqa: S314 - our own
    check(root)
    assert "\n" not in as_xml(message)
    requestors = [p for p in root.iter("ActiveParticipant") if p.get("UserIsRequestor") == "true"]
    assert len(requestors) <= 1


@EACH
def test_a_message_names_at_most_one_patient_and_study(message: Message) -> None:
    kinds = [each.kind.name for each in message.objects]
    assert kinds.count("PATIENT") == kinds.count("STUDY") <= 1


@EACH
def test_a_log_line_names_numbers_and_no_study_or_patient(message: Message) -> None:
    line = as_line(message)
    assert STUDY.study_instance_uid not in line
    assert STUDY.patient_key not in line
    assert not re.search(r"\b1\.2\.3\.\d", line)
    assert ("study=17" in line) == any(each.number == 17 for each in message.objects)
    assert line.startswith("2030-01-01T12:00:00.000Z 1101")
    assert "\n" not in line


def test_roles_are_those_of_the_tables() -> None:
    root = ET.fromstring(as_xml(MESSAGES["received"]))  # noqa: S314
    roles = [r.get("csd-code") for r in root.iter("RoleIDCode")]
    assert roles == ["110153", "110152"]
    study, patient = root.iter("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == STUDY.study_instance_uid
    assert study.find("ParticipantObjectIDTypeCode").get("csd-code") == "110180"  # type: ignore[union-attr]
    assert study.find(".//SOPClass").get("NumberOfInstances") == "36"  # type: ignore[union-attr]
    assert patient.get("ParticipantObjectID") == STUDY.patient_key
    assert patient.get("ParticipantObjectTypeCode") == "1"


def test_an_alert_says_what_it_is_about() -> None:
    root = ET.fromstring(as_xml(MESSAGES["contradicted"]))  # noqa: S314
    detail = root.find(".//ParticipantObjectDetail")
    assert detail is not None
    assert detail.get("type") == "Alert Description"
    assert b64decode(detail.get("value") or "") == b"a known UID with other content"


def test_text_of_a_peer_breaks_neither_xml_nor_a_line() -> None:
    message = MESSAGES["not sent"]
    assert 'said="PACS is ?away? <now>"' in as_line(message)
    root = ET.fromstring(as_xml(message))  # noqa: S314
    assert root.findtext(".//EventOutcomeDescription") == 'PACS is "away" <now>'


def test_codes_are_those_of_the_dictionary() -> None:
    from pydicom.sr._concepts_dict import concepts

    known = {value: names for names in concepts["DCM"].values() for value, names in names.items()}
    for member in (*Event, *EventType):
        assert known[member.value.value][0] == member.value.meaning


@pytest.mark.parametrize("text", ["{}", "[]", '{"version": 2}', "no JSON", '{"version": 1}'])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several libraries
        from_json(text)

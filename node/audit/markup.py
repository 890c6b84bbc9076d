"""A message in the XML of PS3.15 A.5.1: what audit record repositories read."""

from base64 import b64encode
from datetime import UTC
from ipaddress import ip_address
from xml.etree import ElementTree as ET

from node.audit.codes import Code, Kind
from node.audit.messages import AuditObject, Message, Participant

APPLICATION_SERVER = "4"
"""Audit Source Type Code (A.5.1.2.1)."""
SYSTEM_OBJECT, PERSON = "2", "1"
ROLES = {Kind.STUDY: "3", Kind.SOP_CLASS: "3", Kind.PATIENT: "1", Kind.NODE: "13", Kind.URI: "13"}
"""Participant Object Type Code Role (A.5.1.2.2): report, patient, security resource."""
MACHINE_NAME, IP_ADDRESS = "1", "2"


def as_xml(message: Message) -> str:
    """Write a message as one XML document without declaration, on one line."""
    root = ET.Element("AuditMessage")
    event = ET.SubElement(
        root,
        "EventIdentification",
        EventActionCode=message.action.value,
        EventDateTime=message.moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(int(message.outcome)),
    )
    _add_code(event, "EventID", message.event.value)
    if message.event_type is not None:
        _add_code(event, "EventTypeCode", message.event_type.value)
    if message.description:
        ET.SubElement(event, "EventOutcomeDescription").text = _plain(message.description)
    for participant in message.participants:
        _add_participant(root, participant)
    source = ET.SubElement(
        root, "AuditSourceIdentification", AuditSourceID=_plain(message.source_id)
    )
    ET.SubElement(source, "AuditSourceTypeCode", {"csd-code": APPLICATION_SERVER})
    for each in message.objects:
        _add_object(root, each)
    return ET.tostring(root, encoding="unicode")


def _add_participant(root: ET.Element, participant: Participant) -> None:
    attributes = {
        "UserID": _plain(participant.user_id),
        "UserIsRequestor": "true" if participant.is_requestor else "false",
    }
    if participant.ae_title:
        attributes["AlternativeUserID"] = f"AETITLES={_plain(participant.ae_title)}"
    elif participant.alternative_id:
        attributes["AlternativeUserID"] = _plain(participant.alternative_id)
    if participant.address:
        attributes["NetworkAccessPointID"] = _plain(participant.address)
        attributes["NetworkAccessPointTypeCode"] = _access_point_type(participant.address)
    element = ET.SubElement(root, "ActiveParticipant", attributes)
    if participant.role is not None:
        _add_code(element, "RoleIDCode", participant.role.value)


def _access_point_type(address: str) -> str:
    try:
        ip_address(address)
    except ValueError:
        return MACHINE_NAME
    return IP_ADDRESS


def _add_object(root: ET.Element, each: AuditObject) -> None:
    """Add an object; a name or a query has to be there (A.5.1)."""
    element = ET.SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_plain(each.identifier),
        ParticipantObjectTypeCode=PERSON if each.kind is Kind.PATIENT else SYSTEM_OBJECT,
        ParticipantObjectTypeCodeRole=ROLES[each.kind],
    )
    _add_code(element, "ParticipantObjectIDTypeCode", each.kind.value)
    if each.query:
        query = ET.SubElement(element, "ParticipantObjectQuery")
        query.text = b64encode(each.query).decode("ascii")
    else:
        ET.SubElement(element, "ParticipantObjectName").text = _name_of(each)
    if each.kind is Kind.NODE and each.detail:
        ET.SubElement(
            element,
            "ParticipantObjectDetail",
            type="Alert Description",
            value=b64encode(each.detail.encode()).decode("ascii"),
        )
    if each.instances:
        described = ET.SubElement(element, "ParticipantObjectDescription")
        for sop_class_uid, count in each.instances:
            ET.SubElement(described, "SOPClass", UID=sop_class_uid, NumberOfInstances=str(count))


def _name_of(each: AuditObject) -> str:
    if each.kind is Kind.STUDY:
        return f"study {each.number}"
    if each.kind is Kind.PATIENT:
        return "pseudonym"
    return _plain(each.detail if each.kind is Kind.URI else each.identifier)


def _add_code(parent: ET.Element, name: str, code: Code) -> None:
    ET.SubElement(
        parent,
        name,
        {
            "csd-code": code.value,
            "codeSystemName": code.scheme,
            "displayName": code.meaning,
            "originalText": code.meaning,
        },
    )


def _plain(text: str) -> str:
    """Replace what XML cannot hold, and line ends."""
    return "".join(c if c.isprintable() else "?" for c in text)

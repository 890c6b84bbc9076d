"""Part of the conformance statement on the audit trail (PS3.15 Annex A)."""

from collections.abc import Mapping
from types import MappingProxyType

from node.audit import syslog
from node.audit.codes import Event
from node.audit.trail import QUIET_SECONDS
from node.documents.markdown import bullets, code, table
from node.documents.site import Site

TRIGGERS: Mapping[Event, str] = MappingProxyType(
    {
        Event.APPLICATION_ACTIVITY: "a process of the node begins, or ends in good order",
        Event.AUDIT_LOG_USED: "a person has the trail shown or exported (`midline audit`)",
        Event.BEGIN_TRANSFERRING: "an attempt to send results begins",
        Event.INSTANCES_ACCESSED: (
            "a person has a study shown (`midline queue show` or the web page, Read), or decides "
            "about the work on it (`retry`, `cancel`, `readmit` and the like, Update)"
        ),
        Event.INSTANCES_TRANSFERRED: (
            "an association ended on which images came, one message for each study; an attempt "
            "to send results ended, one message for what arrived and one for what did not"
        ),
        Event.STUDY_DELETED: "the images of a study are removed after their time",
        Event.QUERY: "the archive of a sender is asked for a study",
        Event.SECURITY_ALERT: (
            "an association or a certificate is turned away, a limit is exceeded, a UID comes "
            "with other content or a study under another patient, the cross-patient guard stops "
            "something, a person has the node forget what a peer refused, has workers take no new "
            "work or go on (`midline drain`, `midline resume`), or changes who may use the web "
            "page (`midline accounts`)"
        ),
        Event.USER_AUTHENTICATION: "a person signs in on the web page, cannot, or signs out",
    }
)
"""When each kind of message is written."""


def messages() -> str:
    """Table of the messages that are written."""
    rows = [
        (f"{event.value.meaning} ({code(event.value.value)}, {event.value.scheme})", when)
        for event, when in TRIGGERS.items()
    ]
    return table(("Message", "When"), rows)


def properties(site: Site) -> str:
    """Say what the messages hold, how they are kept, and where they go."""
    is_on = site.settings.audit.enabled
    return bullets(
        f"The trail is {'written' if is_on else 'not written'} (`audit.enabled`), in the format "
        "of the Audit Trail Message Format Profile (PS3.15 A.5), into the index of the node.",
        "Studies are named by Study Instance UID; the patient by a digest that is keyed at the "
        "site, in place of the Patient ID, which the index does not hold.",
        "Each message is kept with the SHA-256 of itself and the one before it; "
        "`midline audit verify` finds what was changed, removed or inserted. The head of the "
        "chain goes into the log and into each export, so that a cut end is found too.",
        "A message that cannot be written is logged and counted; neither reception nor delivery "
        "waits for it. An alert of a failure that repeats is written once in "
        f"{QUIET_SECONDS:g} s, with how often it came.",
        "With `audit.syslog_host`, messages go there by the Audit Trail Message Transmission "
        "Profile SYSLOG-TLS (PS3.15 A.6: RFC 5424, RFC 5425) with the node's certificate, facility "
        f"{syslog.FACILITY}, severity {syslog.NOTICE} or {syslog.WARNING}, MSGID "
        f"{code(syslog.MESSAGE_ID)}, no structured data; in order, and again until the repository "
        "has read them.",
        "Sending results is a transfer within the site and no Export; nothing is imported from "
        "media; persons are known at the command line by the operating system, which tells of "
        "their logins, and on the web page by their accounts.",
    )

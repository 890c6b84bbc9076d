"""Parts of the conformance statement on storage commitment, in both roles."""

from node.commitment.answers import REMEDIES, Remedy
from node.commitment.granting import HEAD_START_SECONDS
from node.commitment.messages import MOST_REFERENCES, FailureReason, MessageStatus
from node.documents.markdown import bullets, code, table
from node.documents.sentences import of_members
from node.documents.site import Site

ACTIONS = {
    Remedy.SEND_AGAIN: "sent again, and asked for again",
    Remedy.ASK_AGAIN: "asked for again under a new Transaction UID",
    Remedy.NONE: "dead, and shown to the administrator",
}
GIVEN = (
    (FailureReason.NO_SUCH_OBJECT_INSTANCE, "it is not in the index, or its file is gone"),
    (FailureReason.CLASS_INSTANCE_CONFLICT, "it is held under another SOP class"),
    (
        FailureReason.PROCESSING_FAILURE,
        "another image came under its UID, or its file is not what was written",
    ),
    (
        FailureReason.DUPLICATE_TRANSACTION_UID,
        "the Transaction UID had been used for other instances",
    ),
)
"""Failure Reasons that the node gives, and when."""
STATUSES = (
    (MessageStatus.SUCCESS, "the message is recorded; also an answer to an unknown transaction"),
    (MessageStatus.NOT_AUTHORIZED, "N-ACTION: commitment is not offered, or not to this sender"),
    (MessageStatus.NO_SUCH_INSTANCE, "N-ACTION: not the well-known SOP Instance"),
    (MessageStatus.NO_SUCH_ACTION_TYPE, "N-ACTION: Action Type ID is not 1"),
    (MessageStatus.NO_SUCH_EVENT_TYPE, "N-EVENT-REPORT: Event Type ID is neither 1 nor 2"),
    (
        MessageStatus.INVALID_ARGUMENT_VALUE,
        f"a UID is missing or none, no instance is named, or more than {MOST_REFERENCES}",
    ),
    (MessageStatus.RESOURCE_LIMITATION, "the index cannot be written in time, or has no room"),
    (MessageStatus.PROCESSING_FAILURE, "anything else goes wrong"),
)
"""Statuses of the responses to N-ACTION and N-EVENT-REPORT, in the order of the checks."""


def asking(site: Site) -> str:
    """Say how destinations are asked."""
    settings = site.settings.commitment
    return bullets(
        "When all results of an analysis have arrived, the destination is asked to commit to what "
        "it answered with success, a warning, or a duplicate SOP instance: N-ACTION, Action Type "
        "ID 1, with a new Transaction UID, on the association on which the last one was stored.",
        "The answer is taken on the same association for "
        f"{settings.wait_on_association_seconds:g} s "
        "(`commitment.wait_on_association_seconds`), then on a new one, which the destination "
        "opens with or without role selection, from the AE title that was asked.",
        "A destination that does not accept the presentation context, or refuses N-ACTION for "
        'good, is not asked again for these results; with `commitment = "REQUIRED"` that is a '
        'problem, and is tried again like a failed attempt. With `commitment = "NONE"` the '
        "context is not proposed.",
        f"Without an answer for {settings.timeout_hours:g} hours (`commitment.timeout_hours`) it "
        "is asked once more, then shown to the administrator. A late answer counts all the same.",
        "Requests and answers survive a restart.",
    )


def remedies() -> str:
    """Table of what follows for a result that a destination does not commit to."""
    meanings = of_members(FailureReason)
    rows = [
        (code(f"0x{reason:04X}"), meanings[reason.name], ACTIONS[REMEDIES.get(reason, Remedy.NONE)])
        for reason in FailureReason
    ]
    rows.append(("others", "", ACTIONS[Remedy.NONE]))
    rows.append(("none", "The answer does not name the result.", ACTIONS[REMEDIES[None]]))
    return table(("Failure Reason", "Meaning", "The result is"), rows)


def granting(site: Site) -> str:
    """Say to what the node commits."""
    offered = "is on" if site.settings.commitment.offered else "is off"
    return bullets(
        f"It {offered} in this installation (`commitment.offered`), and is meant for sites that "
        "want the protocol answered: the node is a cache, and no archive.",
        "Only senders with `event_reports` may ask. The report follows on a new association after "
        f"{HEAD_START_SECONDS:g} s, with the SCP role proposed for the node, and is tried again "
        "like a delivery until it is taken.",
        "The node commits to an image that its index knows under the SOP class named, if its file "
        "lies whole on the disk when the report is made.",
        "What a request names is evidence of how many images a study has.",
    )


def given() -> str:
    """Table of the Failure Reasons that the node gives."""
    rows = [(code(f"0x{reason:04X}"), condition) for reason, condition in GIVEN]
    return table(("Failure Reason", "If"), rows)


def statuses() -> str:
    """Table of the statuses of responses."""
    rows = [(code(f"0x{status:04X}"), condition) for status, condition in STATUSES]
    return table(("Status", "If"), rows)

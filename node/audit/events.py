"""What is written into the audit trail: one function for each thing that happens.

The tables of PS3.15 A.5.3 say who and what each kind of message names. Sending results is a
transfer within the site, not an export; nothing is imported from media. An operator's command is an
access to the study it is about: at the command line the operating system knows the person, on the
web page their account does.
"""

from collections.abc import Mapping
from dataclasses import replace

from node.audit.codes import Action, Event, EventType, Kind, Outcome, Role
from node.audit.messages import NODE, AuditObject, Message, Participant
from storage.records import StudyRecord

TRAIL = "Security Audit Log"
"""Name that PS3.15 A.5.3.2 gives to the trail itself."""
TRAIL_URI = "urn:midline:audit"


def started() -> Message:
    """Tell that a process of the node began (A.5.3.1)."""
    return _activity(EventType.APPLICATION_START)


def stopped() -> Message:
    """Tell that it ended in good order; one that was killed leaves no such message."""
    return _activity(EventType.APPLICATION_STOP)


def _activity(event_type: EventType) -> Message:
    own = replace(NODE, role=Role.APPLICATION)
    return Message(Event.APPLICATION_ACTIVITY, Action.EXECUTE, (own,), event_type=event_type)


def peer(ae_title: str, address: str = "") -> Participant:
    """Name an application entity."""
    return Participant(ae_title, ae_title=ae_title, address=address)


def received(sender: Participant, study: StudyRecord, instances: Mapping[str, int]) -> Message:
    """Tell that images of a study came over one association (A.5.3.7).

    Parameters
    ----------
    instances
        How many were taken of each SOP class, also those that were held already.
    """
    return Message(
        Event.INSTANCES_TRANSFERRED,
        Action.CREATE,
        (
            replace(sender, role=Role.SOURCE, is_requestor=True),
            replace(NODE, role=Role.DESTINATION),
        ),
        _of_study(study, instances),
    )


def begins_to_send(
    receiver: Participant, study: StudyRecord, instances: Mapping[str, int]
) -> Message:
    """Tell that results are about to be sent (A.5.3.3)."""
    return Message(
        Event.BEGIN_TRANSFERRING,
        Action.EXECUTE,
        _from_here_to(receiver),
        _of_study(study, instances),
    )


def sent(
    receiver: Participant, study: StudyRecord, instances: Mapping[str, int], *, problem: str = ""
) -> Message:
    """Tell that results arrived, or did not for some reason (A.5.3.7)."""
    return Message(
        Event.INSTANCES_TRANSFERRED,
        Action.READ,  # whether the receiver held them is not known here
        _from_here_to(receiver),
        _of_study(study, instances),
        outcome=Outcome.MINOR_FAILURE if problem else Outcome.SUCCESS,
        description=problem,
    )


def _from_here_to(receiver: Participant) -> tuple[Participant, ...]:
    return (
        replace(NODE, role=Role.SOURCE, is_requestor=True),
        replace(receiver, role=Role.DESTINATION),
    )


def queried(
    responder: Participant, sop_class_uid: str, *, query: bytes, problem: str = ""
) -> Message:
    """Tell that somebody was asked what they hold (A.5.3.10).

    Parameters
    ----------
    query
        The encoded identifier; UIDs alone, as this node asks by nothing else.
    """
    asked = AuditObject(Kind.SOP_CLASS, sop_class_uid, query=query)
    return Message(
        Event.QUERY,
        Action.EXECUTE,
        _from_here_to(responder),
        (asked,),
        outcome=Outcome.MINOR_FAILURE if problem else Outcome.SUCCESS,
        description=problem,
    )


def looked_at(person: Participant, study: StudyRecord) -> Message:
    """Tell that somebody had the node show what it knows of a study (A.5.3.6)."""
    return _access(person, study, Action.READ, "shown")


def operated(person: Participant, study: StudyRecord, command: str) -> Message:
    """Tell that somebody decided about the work on a study (A.5.3.6).

    Parameters
    ----------
    command
        What they had done, for instance ``queue retry``.
    """
    return _access(person, study, Action.UPDATE, command)


def _access(person: Participant, study: StudyRecord, action: Action, words: str) -> Message:
    people = (replace(person, is_requestor=True), NODE)
    return Message(Event.INSTANCES_ACCESSED, action, people, _of_study(study), description=words)


def removed(study: StudyRecord, *, person: Participant | None = None, reason: str) -> Message:
    """Tell that the images of a study were removed (A.5.3.8)."""
    people = (NODE,) if person is None else (replace(person, is_requestor=True), NODE)
    return Message(Event.STUDY_DELETED, Action.DELETE, people, _of_study(study), description=reason)


def trail_used(person: Participant, command: str) -> Message:
    """Tell that somebody read the trail (A.5.3.2)."""
    trail = AuditObject(Kind.URI, TRAIL_URI, detail=TRAIL)
    people = (replace(person, is_requestor=True), NODE)
    return Message(Event.AUDIT_LOG_USED, Action.READ, people, (trail,), description=command)


def configured(person: Participant, command: str, subject: str) -> Message:
    """Tell that somebody changed what the node remembers of a peer (A.5.3.11)."""
    return _alert(EventType.NETWORK_CONFIGURATION, person, subject, command, Outcome.SUCCESS)


def operated_role(person: Participant, role: str, command: str) -> Message:
    """Tell that somebody had the workers of a role stop or go on (A.5.3.11)."""
    return _alert(EventType.SOFTWARE_CONFIGURATION, person, role, command, Outcome.SUCCESS)


def signed_in(person: Participant, *, problem: str = "") -> Message:
    """Tell that somebody signed in on the page, or could not (A.5.3.12)."""
    return _authentication(EventType.LOGIN, person, problem)


def signed_out(person: Participant) -> Message:
    """Tell that somebody signed out (A.5.3.12)."""
    return _authentication(EventType.LOGOUT, person, "")


def _authentication(event_type: EventType, person: Participant, problem: str) -> Message:
    return Message(
        Event.USER_AUTHENTICATION,
        Action.EXECUTE,
        (replace(person, is_requestor=True), NODE),
        event_type=event_type,
        outcome=Outcome.MINOR_FAILURE if problem else Outcome.SUCCESS,
        description=problem,
    )


def account_changed(person: Participant, command: str, account: str) -> Message:
    """Tell that somebody changed who may use the page (A.5.3.11)."""
    return _alert(EventType.USER_CHANGED, person, account, command, Outcome.SUCCESS)


def stranger(caller: Participant, reason: str) -> Message:
    """Tell that somebody called who is not known, or not as who it says it is (A.5.3.11)."""
    outcome = Outcome.SERIOUS_FAILURE
    return _alert(EventType.NODE_AUTHENTICATION, caller, caller.user_id, reason, outcome)


def misused(caller: Participant, reason: str) -> Message:
    """Tell that a peer tried what it must not, or more than anybody may (A.5.3.11)."""
    outcome = Outcome.SERIOUS_FAILURE
    return _alert(EventType.RESTRICTED_FUNCTION, caller, caller.user_id, reason, outcome)


def contradicted(caller: Participant, study: StudyRecord | None, reason: str) -> Message:
    """Tell that an image contradicts the index: a UID or a patient was changed (A.5.3.11)."""
    outcome = Outcome.SERIOUS_FAILURE
    alert = _alert(EventType.OBJECT_CHANGED, caller, caller.user_id, reason, outcome)
    if study is None:
        return alert
    return replace(alert, objects=(*alert.objects, *_of_study(study)))


def guarded(study: StudyRecord, reason: str) -> Message:
    """Tell that the cross-patient guard stopped something (A.5.3.11)."""
    outcome = Outcome.SERIOUS_FAILURE
    alert = _alert(EventType.OBJECT_CHANGED, None, "cross-patient guard", reason, outcome)
    return replace(alert, objects=(*alert.objects, *_of_study(study)))


def _alert(
    event_type: EventType,
    performer: Participant | None,
    subject: str,
    reason: str,
    outcome: Outcome,
) -> Message:
    """Make a security alert: this process reports, and nobody is called the requestor."""
    performers = () if performer is None else (replace(performer, is_requestor=False),)
    return Message(
        Event.SECURITY_ALERT,
        Action.EXECUTE,
        (NODE, *performers),
        (AuditObject(Kind.NODE, subject or "unknown", detail=reason),),
        event_type=event_type,
        outcome=outcome,
        description=reason,
    )


def _of_study(
    study: StudyRecord, instances: Mapping[str, int] | None = None
) -> tuple[AuditObject, ...]:
    """Name a study and its patient: no message is about two patients."""
    counts = tuple(sorted((instances or {}).items()))
    return (
        AuditObject(Kind.STUDY, study.study_instance_uid, number=study.id, instances=counts),
        AuditObject(Kind.PATIENT, study.patient_key),
    )

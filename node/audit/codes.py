"""Codes of the audit trail (PS3.16 CID 400, 401, 402, 404; PS3.15 A.5.1.2)."""

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

DICOM = "DCM"
RFC_3881 = "RFC-3881"


@dataclass(frozen=True)
class Code:
    """A coded term: its value, its meaning, and whose it is."""

    value: str
    meaning: str
    scheme: str = DICOM


class Event(Enum):
    """What kind of message it is (CID 400); those that this node writes."""

    APPLICATION_ACTIVITY = Code("110100", "Application Activity")
    AUDIT_LOG_USED = Code("110101", "Audit Log Used")
    BEGIN_TRANSFERRING = Code("110102", "Begin Transferring DICOM Instances")
    INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
    INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
    STUDY_DELETED = Code("110105", "DICOM Study Deleted")
    QUERY = Code("110112", "Query")
    SECURITY_ALERT = Code("110113", "Security Alert")
    USER_AUTHENTICATION = Code("110114", "User Authentication")


class EventType(Enum):
    """What happened in particular (CID 401)."""

    APPLICATION_START = Code("110120", "Application Start")
    APPLICATION_STOP = Code("110121", "Application Stop")
    LOGIN = Code("110122", "Login")
    LOGOUT = Code("110123", "Logout")
    NODE_AUTHENTICATION = Code("110126", "Node Authentication")
    NETWORK_CONFIGURATION = Code("110128", "Network Configuration")
    SOFTWARE_CONFIGURATION = Code("110131", "Software Configuration")
    RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
    OBJECT_CHANGED = Code("110135", "Object Security Attributes Changed")
    USER_CHANGED = Code("110137", "User Security Attributes Changed")


class Role(Enum):
    """What part a participant plays (CID 402)."""

    APPLICATION = Code("110150", "Application")
    LAUNCHER = Code("110151", "Application Launcher")
    DESTINATION = Code("110152", "Destination Role ID")
    SOURCE = Code("110153", "Source Role ID")


class Kind(Enum):
    """What an object of a message is named by (CID 404, PS3.15 A.5.1.2.4)."""

    STUDY = Code("110180", "Study Instance UID")
    SOP_CLASS = Code("110181", "SOP Class UID")
    NODE = Code("110182", "Node ID")
    PATIENT = Code("2", "Patient Number", RFC_3881)
    URI = Code("12", "URI", RFC_3881)


class Action(StrEnum):
    """What was done (PS3.15 A.5.2)."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(IntEnum):
    """How it ended (PS3.15 A.5.2)."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    """It will be tried again."""
    SERIOUS_FAILURE = 8
    """It ended there."""
    MAJOR_FAILURE = 12
    """The application can do it no longer."""

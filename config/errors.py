"""Every error that Midline raises itself, and the one question each of them answers: retry or not.

::

    MidlineError
    ├── UsageError                a person's mistake: one line, exit code 2
    │   └── SettingsError         a setting is unknown, missing or out of range
    ├── StorageError
    │   ├── StorageFullError      retryable: no room for the file or the row
    │   ├── DatabaseBusyError     retryable: another process holds the database
    │   ├── InstanceConflictError a known SOP Instance UID with other content
    │   └── PatientConflictError  a known study or series under another patient or study
    ├── TakenOverError            another worker does now what this one has begun
    ├── GuardError                something is of another patient or study than its job
    ├── InputError                the study cannot be analysed; carries a `Reason`
    │   ├── UnreadableInputError  pixels or header cannot be decoded
    │   ├── UnsupportedInputError no series of the kind that the model was made for
    │   ├── IncompleteInputError  slices are missing
    │   └── QualityError          it was read, but it is no head that the model may judge
    ├── AnalysisError
    │   ├── ModelError            the weights cannot be loaded, or do not fit the network
    │   └── ResourceError         retryable: out of memory on the host or on the device
    └── PeerError                 a DICOM peer did not do what was asked
        ├── PeerUnavailableError  retryable: no connection, time-out, busy
        └── PeerRefusedError      it answered, and the answer will not change by itself

A message names the setting, the file or the level at fault, the rule and the value; never the text
of another library's error, which may quote patient data.
"""

from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Why a result is partial or missing; `node.results.codes` gives each its coded term."""

    FORMAT = "FORMAT"
    """Undecodable pixels, corrupt header, no frame of reference, not Hounsfield units."""
    TYPES = "TYPES"
    """No series of the kind that the model was made for."""
    INCOMPLETE = "INCOMPLETE"
    """Slices are missing."""
    RESOURCE = "RESOURCE"
    """Out of memory, disk or device."""
    EQUIPMENT = "EQUIPMENT"
    """A fault of the node, or a model that does not load."""
    QUALITY = "QUALITY"
    """Decoded, but not a head that the model may judge."""
    EXPIRED = "EXPIRED"
    """The deadline passed."""
    BORDERLINE = "BORDERLINE"
    """The score lies between the decision thresholds."""
    UNSPECIFIED = "UNSPECIFIED"
    """Anything else."""


class MidlineError(Exception):
    """Base of every error that Midline raises itself."""

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later without anybody changing anything."""


class UsageError(MidlineError):
    """A person asked for something that cannot be; shown as one line, exit code 2."""


class SettingsError(UsageError):
    """A setting is unknown, missing or out of range."""


class StorageError(MidlineError):
    """The store or the database could not do what was asked."""


class StorageFullError(StorageError):
    """The disk or the database has no room; worth a retry once space is freed."""

    retryable = True


class DatabaseBusyError(StorageError):
    """Another process holds the database; worth a retry."""

    retryable = True


class InstanceConflictError(StorageError):
    """A known SOP Instance UID came with other content; the first one is kept."""


class PatientConflictError(StorageError):
    """A known study came under another patient, or a known series under another study."""


class TakenOverError(MidlineError):
    """Another worker does now what this one has begun: nothing may be written of it any more."""


class GuardError(MidlineError):
    """Input or output does not belong to the study of its job: neither analysed nor sent."""


class InputError(MidlineError):
    """The study cannot be analysed, and a retry would not change that."""

    reason: Reason = Reason.UNSPECIFIED

    def __init__(self, message: str, *, reason: Reason | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class UnreadableInputError(InputError):
    """Header or pixels cannot be decoded, or lack what an analysis needs."""

    reason = Reason.FORMAT


class UnsupportedInputError(InputError):
    """There is no series of the kind that the model was made for."""

    reason = Reason.TYPES


class IncompleteInputError(InputError):
    """Slices are missing."""

    reason = Reason.INCOMPLETE


class QualityError(InputError):
    """The series was decoded, but it is no head that the model may judge."""

    reason = Reason.QUALITY


class AnalysisError(MidlineError):
    """The analysis failed for a reason that lies in the node, not in the study."""

    reason: Reason = Reason.EQUIPMENT


class ModelError(AnalysisError):
    """The weights cannot be loaded, or do not fit the network."""


class ResourceError(AnalysisError):
    """Out of memory on the host or on the device; worth a retry."""

    reason = Reason.RESOURCE
    retryable = True


class PeerError(MidlineError):
    """A DICOM peer did not do what was asked."""


class PeerUnavailableError(PeerError):
    """No connection, a time-out, or a peer that is busy; worth a retry."""

    retryable = True


class PeerRefusedError(PeerError):
    """The peer answered, and its answer will not change by itself."""

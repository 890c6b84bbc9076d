"""Answers to what peers ask of the node: thin, and total. Nothing escapes a handler.

Who is let in is decided in `node.admission`. What a C-STORE goes through is in `node.reception`
(checks) and `node.custody` (file, then row); here its end becomes a status.
"""

import logging
import threading
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from config.errors import (
    DatabaseBusyError,
    InstanceConflictError,
    PatientConflictError,
    StorageFullError,
)
from node.admission import Admissions, Rejection
from node.associations import OpenAssociations, caller_of
from node.audit import events
from node.audit.trail import Write
from node.completion import note_begin, note_end, note_image
from node.custody import Stores, keep
from node.hardening import Breach
from node.reception import ReceptionError, Request
from node.status import StoreStatus

logger = logging.getLogger(__name__)

LONGEST_COMMENT = 64
"""Error Comment (0000,0902) is LO."""
REJECTIONS = {
    Rejection.CALLING_AE_TITLE: "nobody of this AE title may call from there",
    Rejection.CALLED_AE_TITLE: "another AE title than that of the node was called",
    Rejection.TOO_MANY: "more associations were asked for than are served",
    Rejection.FAULT: "it could not be told who calls",
}
"""What the audit trail says of an association that was rejected."""


def handle_echo(_: Event) -> int:
    """Answer a C-ECHO (PS3.4 Annex A)."""
    return StoreStatus.SUCCESS


def handle_request(
    event: Event, admissions: Admissions, associations: OpenAssociations, stores: Stores
) -> None:
    """Let a requested association in, or reject it (PS3.8 7.1); the peer is not told why.

    pynetdicom goes on with an association that a handler failed to judge: nothing may escape.
    """
    association = event.assoc
    try:
        rejection = admissions.judge(association)
    except Exception as error:  # noqa: BLE001 - whoever cannot be judged stays outside
        logger.warning("an association was not judged: %s", type(error).__name__)
        rejection = Rejection.FAULT
    if rejection is None:
        note_begin(association, stores.database, associations)
        return
    address = association.remote["address"]
    logger.warning("rejected an association from %s: %s", address, rejection.name)
    alert = events.misused if rejection is Rejection.TOO_MANY else events.stranger
    stores.audit(alert(caller_of(association), REJECTIONS[rejection]))
    association.acse.send_reject(*rejection.value)
    evt.trigger(association, evt.EVT_REJECTED, {})
    association.kill()


def tell_of_breach(audit: Write, breach: Breach, address: str, reason: str) -> None:
    """Write into the audit trail that a connection was ended; whoever ended it does not wait."""
    alert = events.stranger if breach is Breach.AUTHENTICATION else events.misused
    message = alert(events.peer("", address), reason)
    threading.Thread(target=audit, args=(message,), name="audit", daemon=True).start()


@dataclass(frozen=True)
class Receiver:
    """Whoever answers C-STORE requests: Success only for what is on the disk and in the index.

    Attributes
    ----------
    stores
        Where images go.
    associations
        Who sends what: its end is evidence of completeness.
    admissions
        Who may send.
    """

    stores: Stores
    associations: OpenAssociations
    admissions: Admissions

    def __call__(
        self,
        association: Association,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        data_set: bytes,
    ) -> tuple[StoreStatus, str]:
        """Answer in the thread of the connection (`node.hardening.DirectStore`)."""
        request = Request(sop_class_uid, sop_instance_uid, transfer_syntax_uid, data_set)
        return self._answered(association, request)

    def handle(self, event: Event) -> Dataset:
        """Answer what did not come that way, such as a request without a data set."""
        return answer(*self._answered(event.assoc, request_of(event)))

    def _answered(self, association: Association, request: Request) -> tuple[StoreStatus, str]:
        try:
            self._keep(association, request)
        except Exception as error:  # noqa: BLE001 - the peer must get a status whatever happens
            status, comment = status_of(error)
            logger.warning("answered 0x%04X: %s", status, comment)
            return status, comment
        return StoreStatus.SUCCESS, ""

    def _keep(self, association: Association, request: Request) -> None:
        sender = self.admissions.of(association)
        if sender is None or not sender.may_store:
            comment = "this application entity may not store"
            self.stores.audit(events.misused(caller_of(association), comment))
            raise ReceptionError(StoreStatus.NOT_AUTHORIZED, comment)
        calling_ae_title = str(association.requestor.ae_title).strip()
        study_id = keep(request, self.stores, calling_ae_title=calling_ae_title)
        database = self.stores.database
        note_image(association, database, self.associations, study_id, request.sop_class_uid)


def status_of(error: Exception) -> tuple[StoreStatus, str]:
    """Status and comment for what went wrong; neither says anything about the patient."""
    match error:
        case ReceptionError():
            return error.status, str(error)
        case StorageFullError():
            return StoreStatus.OUT_OF_RESOURCES, "no room on the disk"
        case DatabaseBusyError():
            return StoreStatus.OUT_OF_RESOURCES, "the index is busy"
        case InstanceConflictError():
            comment = "known SOP Instance UID with other content"
            return StoreStatus.DUPLICATE_SOP_INSTANCE, comment
        case PatientConflictError():
            return StoreStatus.PATIENT_CONFLICT, "study or series is known under another patient"
        case _:
            # the type alone: the text of a foreign error may quote the data set
            return StoreStatus.PROCESSING_FAILURE, f"fault of the node: {type(error).__name__}"


def handle_end(event: Event, stores: Stores, associations: OpenAssociations) -> None:
    """Note that an association was released or aborted: its studies may be complete."""
    is_released = event.event is evt.EVT_RELEASED
    note_end(
        event.assoc, stores.database, associations, is_released=is_released, audit=stores.audit
    )


def request_of(event: Event) -> Request:
    """Read a C-STORE request off an event.

    Raises
    ------
    TypeError
        If it is another kind of event.
    """
    request = event.request
    if not isinstance(request, C_STORE):
        raise TypeError("only a C-STORE request has a data set to keep")
    return Request(
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        data_set=request.DataSet.getvalue() if request.DataSet is not None else b"",
    )


def answer(status: StoreStatus, comment: str = "") -> Dataset:
    """Make the status data set of a response (PS3.7 9.3.1.2); the comment is at most 64 long."""
    response = Dataset()
    response.Status = int(status)
    if comment:
        response.ErrorComment = comment[:LONGEST_COMMENT]
    return response

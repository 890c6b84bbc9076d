"""Answers to what peers ask of the node: thin, and total. Nothing escapes a handler.

Who is let in is decided in `node.admission`. What a C-STORE goes through is in `node.reception`
(checks) and `node.custody` (file, then row); here its end becomes a status.
"""

import logging

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from config.errors import (
    DatabaseBusyError,
    InstanceConflictError,
    PatientConflictError,
    StorageFullError,
)
from node.admission import Admissions, Rejection
from node.associations import OpenAssociations
from node.completion import note_end
from node.custody import Stores, keep
from node.reception import ReceptionError, Request
from node.status import StoreStatus

logger = logging.getLogger(__name__)

LONGEST_COMMENT = 64
"""Error Comment (0000,0902) is LO."""


def handle_echo(_: Event) -> int:
    """Answer a C-ECHO (PS3.4 Annex A)."""
    return StoreStatus.SUCCESS


def handle_request(event: Event, admissions: Admissions, associations: OpenAssociations) -> None:
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
        associations.begin(association)
        return
    address = association.remote["address"]
    logger.warning("rejected an association from %s: %s", address, rejection.name)
    association.acse.send_reject(*rejection.value)
    evt.trigger(association, evt.EVT_REJECTED, {})
    association.kill()


def handle_store(
    event: Event, stores: Stores, associations: OpenAssociations, admissions: Admissions
) -> Dataset:
    """Answer a C-STORE (PS3.4 Annex B): Success only for what is on the disk and in the index."""
    try:
        sender = admissions.of(event.assoc)
        if sender is None or not sender.may_store:
            comment = "this application entity may not store"
            raise ReceptionError(StoreStatus.NOT_AUTHORIZED, comment)  # noqa: TRY301
        study_id = keep(request_of(event), stores, calling_ae_title=_calling_ae_title(event))
        associations.note(event.assoc, study_id)
    except Exception as error:  # noqa: BLE001 - the peer must get a status whatever happens
        status, comment = status_of(error)
        logger.warning("answered 0x%04X: %s", status, comment)
        return answer(status, comment)
    return answer(StoreStatus.SUCCESS)


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
    note_end(event.assoc, stores.database, associations, is_released=is_released)


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


def _calling_ae_title(event: Event) -> str:
    return str(event.assoc.requestor.ae_title).strip()


def answer(status: StoreStatus, comment: str = "") -> Dataset:
    """Make the status data set of a response (PS3.7 9.3.1.2); the comment is at most 64 long."""
    response = Dataset()
    response.Status = int(status)
    if comment:
        response.ErrorComment = comment[:LONGEST_COMMENT]
    return response

"""Taking custody of a received instance: the file, its fsync, then its row.

Whoever gets the number of a study back from `keep` may answer Success: from then on nothing but a
lost disk loses the instance. The file is what is forced to the disk: a row that a loss of power
takes is made again from it (`node.adoption`).
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from config.errors import InstanceConflictError, PatientConflictError
from config.log import log_scope
from node.audit import events
from node.audit.trail import Write, untold
from node.completion import complete
from node.engine import Queues
from node.part10 import preceding
from node.pseudonyms import keyed
from node.reception import ReceptionError, Request, identify
from node.status import StoreStatus
from storage.database import Database
from storage.files import FileStore
from storage.records import ConflictKind, ReceivedInstance, StudyState

logger = logging.getLogger(__name__)

CONTRADICTIONS = {
    ConflictKind.INSTANCE: "a known SOP Instance UID came with other content",
    ConflictKind.PATIENT: "a known study or series came under another patient or study",
}
"""What the audit trail says of a file that was put aside."""


@dataclass(frozen=True)
class Stores:
    """Where received instances go, a quarantined study's report is asked for, and who is told."""

    database: Database
    files: FileStore
    queues: Queues
    max_instance_bytes: int
    audit: Write = untold


def keep(request: Request, stores: Stores, *, calling_ae_title: str) -> int:
    """Keep an instance as it came; give back the number of its study.

    Raises
    ------
    ReceptionError
        If it is not what the request says; nothing of it is kept.
    StorageFullError, DatabaseBusyError
        If it could not be kept.
    InstanceConflictError, PatientConflictError
        If it contradicts what is known; it lies in quarantine then.
    """
    stores.files.check_space()
    if len(request.data_set) > stores.max_instance_bytes:
        raise ReceptionError(StoreStatus.OUT_OF_RESOURCES, "the data set is over the size limit")
    sha256 = hashlib.sha256(request.data_set).hexdigest()
    header = preceding(request, calling_ae_title=calling_ae_title)
    instance = received_instance(
        request,
        stores,
        calling_ae_title=calling_ae_title,
        path=stores.files.path_of_received(sha256),
        sha256=sha256,
        num_bytes=len(header) + len(request.data_set),
    )
    stores.files.write_received([header, request.data_set], sha256=sha256)
    return enter(instance, stores)


def received_instance(
    request: Request,
    stores: Stores,
    *,
    calling_ae_title: str,
    path: str,
    sha256: str,
    num_bytes: int,
) -> ReceivedInstance:
    """Describe an instance as the index does.

    Raises
    ------
    ReceptionError
        If it is not what the request says.
    """
    identity = identify(request, max_inflated_bytes=stores.max_instance_bytes)
    return ReceivedInstance(
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        sop_instance_uid=request.sop_instance_uid,
        sop_class_uid=request.sop_class_uid,
        transfer_syntax_uid=request.transfer_syntax_uid,
        patient_key=keyed(identity.patient_digest, site_key=stores.files.site_key),
        calling_ae_title=calling_ae_title,
        sha256=sha256,
        num_bytes=num_bytes,
        path=path,
        geometry_json=identity.geometry_json,
    )


def enter(instance: ReceivedInstance, stores: Stores) -> int:
    """Enter an instance whose file is safe on the disk; give back the number of its study.

    The row need not be forced to the disk: the file says all that is in it (`node.adoption`).

    Raises
    ------
    DatabaseBusyError, InstanceConflictError, PatientConflictError
        As `keep`.
    """
    now = datetime.now(UTC)
    try:
        with stores.database.begin(forced=False) as transaction:
            study_id = transaction.studies.register(instance, now=now).study_id
    except InstanceConflictError:
        _put_aside(instance, ConflictKind.INSTANCE, stores, now)
        raise
    except PatientConflictError:
        _put_aside(instance, ConflictKind.PATIENT, stores, now)
        raise
    with log_scope(study=study_id):
        logger.debug("kept an instance of %d bytes", instance.num_bytes)
    return study_id


def _put_aside(
    instance: ReceivedInstance, kind: ConflictKind, stores: Stores, now: datetime
) -> None:
    """Keep what contradicts the index where nothing processes it, and note it.

    A study of two patients is closed at once, so that its job can report why it is not analysed:
    silence is never an outcome.
    """
    path = stores.files.quarantine(instance.path)
    with stores.database.begin() as transaction:
        transaction.studies.record_conflict(instance, kind=kind, path=path, now=now)
        if kind is ConflictKind.PATIENT:
            concerned = transaction.studies.in_conflict(
                instance.study_instance_uid, series_instance_uid=instance.series_instance_uid
            )
            for study in concerned:
                if study.state is StudyState.RECEIVING:
                    complete(transaction, stores.queues, study, evidence="quarantined", now=now)
            transaction.studies.quarantine(
                instance.study_instance_uid, series_instance_uid=instance.series_instance_uid
            )
        held = transaction.studies.find(instance.study_instance_uid)
    logger.error("an instance contradicts the index and lies in quarantine: %s", kind)
    sender = events.peer(instance.calling_ae_title)
    stores.audit(events.contradicted(sender, held, CONTRADICTIONS[kind]))

"""Taking custody of a received instance: the file, its fsync, then its row.

Whoever gets the number of a study back from `keep` may answer Success: from then on nothing but a
lost disk loses the instance.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from config.errors import InstanceConflictError, PatientConflictError
from config.log import log_scope
from node.audit import events
from node.audit.trail import Write, untold
from node.completion import complete
from node.engine import Queues
from node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.pseudonyms import keyed
from node.reception import ReceptionError, Request, identify
from node.status import StoreStatus
from storage.database import Database
from storage.files import FileStore
from storage.records import ConflictKind, ReceivedInstance, StudyState

logger = logging.getLogger(__name__)

PREAMBLE = bytes(128) + b"DICM"
"""PS3.10 7.1; zeros, so that no received file can pass for a program (CVE-2019-11687)."""

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
    identity = identify(request, max_inflated_bytes=stores.max_instance_bytes)
    content = part10(request)
    sha256 = hashlib.sha256(request.data_set).hexdigest()
    instance = ReceivedInstance(
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        sop_instance_uid=request.sop_instance_uid,
        sop_class_uid=request.sop_class_uid,
        transfer_syntax_uid=request.transfer_syntax_uid,
        patient_key=keyed(identity.patient_digest, site_key=stores.files.site_key),
        calling_ae_title=calling_ae_title,
        sha256=sha256,
        num_bytes=len(content),
        path=stores.files.write_received([content], sha256=sha256),
        geometry_json=identity.geometry_json,
    )
    now = datetime.now(UTC)
    try:
        with stores.database.begin() as transaction:
            study_id = transaction.studies.register(instance, now=now).study_id
    except InstanceConflictError:
        _put_aside(instance, ConflictKind.INSTANCE, stores, now)
        raise
    except PatientConflictError:
        _put_aside(instance, ConflictKind.PATIENT, stores, now)
        raise
    with log_scope(study=study_id):
        logger.debug("kept an instance of %d bytes", len(content))
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


def part10(request: Request) -> bytes:
    """Make the file of a received instance: preamble, meta information, the bytes as they came."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(request.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(request.sop_instance_uid)
    meta.TransferSyntaxUID = UID(request.transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return PREAMBLE + buffer.getvalue() + request.data_set

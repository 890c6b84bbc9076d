"""Images that a node holds, as rows and files, of the headers that results are made of."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from node.pseudonyms import patient_key
from storage.database import Transaction
from storage.files import FileStore
from storage.records import ReceivedInstance


def hold(
    transaction: Transaction, files: FileStore, headers: Sequence[Dataset], *, now: datetime
) -> int:
    """Write headers to the store as images, and enter them; the number of their study."""
    registered = [
        transaction.studies.register(_received(header, files), now=now) for header in headers
    ]
    return registered[0].study_id


def _received(header: Dataset, files: FileStore) -> ReceivedInstance:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = Dataset(header)
    image.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    content = buffer.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    return ReceivedInstance(
        study_instance_uid=str(header.StudyInstanceUID),
        series_instance_uid=str(header.SeriesInstanceUID),
        sop_instance_uid=str(header.SOPInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        patient_key=patient_key(header, site_key=files.site_key),
        calling_ae_title="CT1",
        sha256=sha256,
        num_bytes=len(content),
        path=files.write_received([content], sha256=sha256),
    )

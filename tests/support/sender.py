"""A modality that stores images on a node, also such as no honest modality would send."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import _config, build_context
from pynetdicom.association import Association

from node.peers import Caller, Peer, Timeouts, associated
from node.reception import Request

TIMEOUTS = Timeouts(connection_seconds=5, acse_seconds=10, dimse_seconds=30, network_seconds=30)


def encoded(ds: Dataset) -> bytes:
    """Encode a data set without preamble and file meta information."""
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    group_length = dcmread(BytesIO(buffer.getvalue())).file_meta.FileMetaInformationGroupLength
    return buffer.getvalue()[128 + 4 + 12 + group_length :]


def request_for(ds: Dataset, *, data_set: bytes | None = None) -> Request:
    """Make the request of an honest sender, perhaps with other bytes."""
    return Request(
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID),
        data_set=encoded(ds) if data_set is None else data_set,
    )


@contextmanager
def calling(peer: Peer, classes: Iterable[str], *, ae_title: str = "CT1") -> Iterator[Association]:
    """Open an association that proposes some classes in Explicit VR Little Endian."""
    contexts = [build_context(each, ExplicitVRLittleEndian) for each in classes]
    with associated(peer, contexts, caller=Caller(ae_title, TIMEOUTS)) as association:
        yield association


def store(peer: Peer, images: Sequence[Dataset], *, ae_title: str = "CT1") -> list[int]:
    """Store images over one association; their statuses."""
    with calling(peer, {str(ds.SOPClassUID) for ds in images}, ae_title=ae_title) as association:
        return [int(association.send_c_store(ds).Status) for ds in images]


def store_raw(peer: Peer, request: Request, folder: Path) -> Dataset:
    """Send bytes as they are under some identifiers; the response's status data set."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = request.sop_class_uid
    meta.MediaStorageSOPInstanceUID = request.sop_instance_uid
    meta.TransferSyntaxUID = request.transfer_syntax_uid
    meta.ImplementationClassUID = "1.2.3"
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    file = folder / "raw.dcm"
    file.write_bytes(bytes(128) + b"DICM" + buffer.getvalue() + request.data_set)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
        with calling(peer, [request.sop_class_uid]) as association:
            return association.send_c_store(file)

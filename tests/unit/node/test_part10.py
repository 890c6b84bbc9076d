"""A received image as a file that any reader of DICOM takes, and the way back."""

from io import BytesIO

import pytest
from pydicom import dcmread

from node.implementation import IMPLEMENTATION_CLASS_UID
from node.part10 import Received, preceding, read
from tests.support.ct_series import head_series, stack
from tests.support.sender import request_for

REQUEST = request_for(head_series(stack([0.0, 5.0], size=16))[0])


@pytest.mark.parametrize("title", ["CT1", "A LONG TITLE 16C", ""])
def test_pydicom_reads_what_precedes_the_data_set(title: str) -> None:
    content = preceding(REQUEST, calling_ae_title=title) + REQUEST.data_set
    ds = dcmread(BytesIO(content))
    assert ds.preamble == bytes(128)
    assert ds.file_meta.MediaStorageSOPClassUID == REQUEST.sop_class_uid
    assert ds.file_meta.MediaStorageSOPInstanceUID == REQUEST.sop_instance_uid == ds.SOPInstanceUID
    assert ds.file_meta.TransferSyntaxUID == REQUEST.transfer_syntax_uid
    assert ds.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert ds.file_meta.FileMetaInformationVersion == b"\0\1"
    assert ds.file_meta.SourceApplicationEntityTitle.strip() == title
    assert read(content) == Received(REQUEST, title)


@pytest.mark.parametrize("length", [0, 100, 131, 140, 200, 300])
def test_what_is_cut_short_is_no_such_file(length: int) -> None:
    content = preceding(REQUEST, calling_ae_title="CT1") + REQUEST.data_set
    assert read(content[:length]) is None

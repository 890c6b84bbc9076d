"""What messages of storage commitment hold, whole and mutilated."""

from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from node.commitment import messages
from node.commitment.messages import (
    MessageError,
    MessageStatus,
    Report,
    Request,
    encode_report,
    encode_request,
    read_report,
    read_request,
)
from storage.records import Reference

UIDS = st.from_regex(r"2\.25\.[1-9][0-9]{0,37}", fullmatch=True)
REFERENCES = st.builds(Reference, UIDS, UIDS)
REQUEST = Request("2.25.1", (Reference("2.25.2", "2.25.3"), Reference("2.25.2", "2.25.4")))
REPORT = Report("2.25.1", REQUEST.references[:1], ((REQUEST.references[1], 0x0112),))


def _sent(ds: Dataset) -> Dataset:
    """Encode a data set and read it again, as it travels."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return read_dataset(BytesIO(buffer.getvalue()), is_implicit_VR=False, is_little_endian=True)


@given(uid=UIDS, references=st.lists(REFERENCES, min_size=1, max_size=5))
def test_a_request_survives_its_way(uid: str, references: list[Reference]) -> None:
    request = Request(uid, tuple(references))
    assert read_request(_sent(encode_request(request))) == request


@given(
    uid=UIDS,
    committed=st.lists(REFERENCES, max_size=4),
    failed=st.lists(st.tuples(REFERENCES, st.integers(0, 0xFFFF)), max_size=4),
)
def test_a_report_survives_its_way(
    uid: str, committed: list[Reference], failed: list[tuple[Reference, int]]
) -> None:
    report = Report(uid, tuple(committed), tuple(failed))
    assert report.event_type == (2 if failed else 1)
    assert read_report(report.event_type, _sent(encode_report(report))) == report


def _without(keyword: str) -> Callable[[Dataset], None]:
    return lambda ds: delattr(ds, keyword)


def _item_without(sequence: str, keyword: str) -> Callable[[Dataset], None]:
    return lambda ds: delattr(ds[sequence].value[0], keyword)


@pytest.mark.parametrize(
    "mutilate",
    [
        _without("TransactionUID"),
        _without("ReferencedSOPSequence"),
        _item_without("ReferencedSOPSequence", "ReferencedSOPInstanceUID"),
        _item_without("ReferencedSOPSequence", "ReferencedSOPClassUID"),
        lambda ds: setattr(ds, "TransactionUID", ""),
    ],
)
def test_a_request_that_lacks_something_is_refused(mutilate: Callable[[Dataset], None]) -> None:
    ds = encode_request(REQUEST)
    mutilate(ds)
    with pytest.raises(MessageError) as caught:
        read_request(ds)
    assert caught.value.status is MessageStatus.INVALID_ARGUMENT_VALUE


def test_a_report_that_lacks_something_is_refused() -> None:
    for mutilate in (
        _without("TransactionUID"),
        _item_without("FailedSOPSequence", "ReferencedSOPInstanceUID"),
    ):
        ds = encode_report(REPORT)
        mutilate(ds)
        with pytest.raises(MessageError):
            read_report(2, ds)
    with pytest.raises(MessageError) as caught:
        read_report(3, encode_report(REPORT))
    assert caught.value.status is MessageStatus.NO_SUCH_EVENT_TYPE


def test_a_failure_without_a_reason_is_a_failure() -> None:
    ds = encode_report(REPORT)
    del ds.FailedSOPSequence[0].FailureReason
    assert read_report(2, ds).failed == ((REQUEST.references[1], 0x0110),)


def test_a_message_names_only_so_many_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MOST_REFERENCES", 1)
    with pytest.raises(MessageError, match="more than 1 items"):
        read_request(encode_request(REQUEST))


@pytest.mark.parametrize("value", ["Doe^Jane", "1.2.3/../4", "2.25." + "1" * 60])
def test_a_uid_that_is_none_is_not_quoted(value: str) -> None:
    ds = encode_request(REQUEST)
    with pytest.warns(UserWarning, match="."):
        ds.TransactionUID = value
    with pytest.raises(MessageError) as caught:
        read_request(ds)
    assert value not in str(caught.value)

"""Checks of received data sets: what is accepted, what is refused, and with which status."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from ml.readers import part10
from node.reception import Identity, ReceptionError, Request, identify
from node.status import StoreStatus
from tests.support.ct_series import head_series, stack
from tests.support.sender import request_for

LIMIT = 64 << 20
GRID = stack([0.0, 5.0], size=16)
NO_MATCH = StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS


def image(**attributes: object) -> Dataset:
    return head_series(GRID, **attributes)[0]


def refusal(request: Request) -> ReceptionError:
    with pytest.raises(ReceptionError) as caught:
        identify(request, max_inflated_bytes=LIMIT)
    return caught.value


def test_an_honest_image_is_identified() -> None:
    ds = image()
    identity = identify(request_for(ds), max_inflated_bytes=LIMIT)
    assert identity.study_instance_uid == ds.StudyInstanceUID
    assert identity.series_instance_uid == ds.SeriesInstanceUID


def test_an_image_of_clinical_size_is_identified() -> None:
    ds = head_series(stack([0.0, 5.0], size=512, pixel_mm=0.45))[0]
    assert identify(request_for(ds), max_inflated_bytes=LIMIT).study_instance_uid


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian], ids=lambda uid: uid.name
)
def test_other_encodings_are_read_too(syntax: str) -> None:
    ds = image()
    ds.file_meta.TransferSyntaxUID = syntax
    assert identify(request_for(ds), max_inflated_bytes=LIMIT).study_instance_uid


def test_big_endian_is_read_too() -> None:
    ds = image()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.PixelData = bytes(len(ds.PixelData))
    assert identify(request_for(ds), max_inflated_bytes=LIMIT).study_instance_uid


def test_patients_are_told_apart_by_identifier_and_issuer() -> None:
    def key(**attributes: object) -> str:
        return identify(request_for(image(**attributes)), max_inflated_bytes=LIMIT).patient_digest

    keys = {
        key(PatientID="1"),
        key(PatientID="2"),
        key(PatientID="1", IssuerOfPatientID="A"),
        key(PatientID="1", IssuerOfPatientID="B"),
    }
    assert len(keys) == 4
    assert key(PatientID="1") == key(PatientID="1 ", PatientName="Other^Name")


def test_the_patient_key_is_no_patient_data() -> None:
    identity = identify(request_for(image(PatientID="SECRET")), max_inflated_bytes=LIMIT)
    assert "SECRET" not in repr(identity)


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", [None, ""])
def test_an_image_of_nobody_is_refused(keyword: str, value: str | None) -> None:
    error = refusal(request_for(image(**{keyword: value})))
    assert error.status == NO_MATCH
    assert keyword in str(error)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", ["../../etc/passwd", "1.2.x", "1" * 65, "1.2/3"])
@pytest.mark.filterwarnings("ignore:.*UI:UserWarning")
def test_a_uid_with_other_characters_is_refused(keyword: str, value: str) -> None:
    ds = image()
    ds[keyword]._value = value
    assert refusal(request_for(ds)).status == StoreStatus.CANNOT_UNDERSTAND


@pytest.mark.parametrize("uid", ["../x", "", "1.2.3/4", "a", "9" * 65])
def test_an_affected_uid_that_is_none_is_refused(uid: str) -> None:
    request = replace(request_for(image()), sop_instance_uid=uid)
    assert refusal(request).status == StoreStatus.CANNOT_UNDERSTAND


def test_an_image_that_is_not_the_one_announced_is_refused() -> None:
    request = replace(request_for(image()), sop_instance_uid="1.2.3")
    assert refusal(request).status == NO_MATCH
    request = replace(request_for(image()), sop_class_uid="1.2.840.10008.5.1.4.1.1.2.1")
    assert refusal(request).status == NO_MATCH


def test_another_modality_is_refused() -> None:
    assert refusal(request_for(image(Modality="MR"))).status == NO_MATCH


def test_what_is_not_dicom_is_refused() -> None:
    for junk in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096):
        error = refusal(request_for(image(), data_set=junk))
        assert error.status in (StoreStatus.CANNOT_UNDERSTAND, NO_MATCH)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9, 0.999])
def test_an_image_that_is_cut_short_is_refused(share: float) -> None:
    whole = request_for(image()).data_set
    cut = request_for(image(), data_set=whole[: int(len(whole) * share)])
    assert refusal(cut).status in (StoreStatus.CANNOT_UNDERSTAND, NO_MATCH)


def test_pixel_data_shorter_than_the_image_is_refused() -> None:
    assert refusal(request_for(image(PixelData=bytes(10)))).status == StoreStatus.CANNOT_UNDERSTAND


def test_a_deflate_bomb_is_refused() -> None:
    ds = image(PixelData=bytes(2 << 20), Rows=1024, Columns=1024)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    request = request_for(ds)
    assert len(request.data_set) < 100_000
    with pytest.raises(ReceptionError) as caught:
        identify(request, max_inflated_bytes=1 << 20)
    assert caught.value.status == StoreStatus.CANNOT_UNDERSTAND


@pytest.mark.parametrize("undefined_length", [True, False])
def test_small_parts_that_would_take_much_memory_are_refused(
    monkeypatch: pytest.MonkeyPatch, *, undefined_length: bool
) -> None:
    monkeypatch.setattr(part10, "MOST_SMALL_READS", 4000)
    whole = request_for(image())
    at = whole.data_set.index(b"\x08\0\x20\0DA")
    if undefined_length:
        items = b"\xfe\xff\0\xe0\0\0\0\0" * 1400 + b"\xfe\xff\xdd\xe0\0\0\0\0"
        bomb = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + items
    else:
        bomb = b"".join(b"\x09\0" + i.to_bytes(2, "little") + b"LO\0\0" for i in range(4100))
    error = refusal(replace(whole, data_set=whole.data_set[:at] + bomb + whole.data_set[at:]))
    assert error.status == StoreStatus.CANNOT_UNDERSTAND
    assert "too many elements and items" in str(error)


def test_no_refusal_quotes_the_data_set() -> None:
    ds = image(PatientID="SECRET", Modality="SECRETMODALITY")
    assert "SECRET" not in str(refusal(request_for(ds)))


WHOLE = request_for(image())


@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(WHOLE.data_set) - 1), st.integers(0, 255)), max_size=20
    ),
    length=st.integers(0, len(WHOLE.data_set)),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_bytes_are_accepted_or_refused_but_never_a_fault(
    edits: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(WHOLE.data_set)
    for place, value in edits:
        damaged[place] = value
    try:
        identity = identify(
            replace(WHOLE, data_set=bytes(damaged[:length])), max_inflated_bytes=LIMIT
        )
    except ReceptionError as error:
        assert error.status >= NO_MATCH  # noqa: PT017 - either end is right
    else:
        assert isinstance(identity, Identity)

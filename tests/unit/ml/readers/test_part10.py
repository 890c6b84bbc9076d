"""Files are read within bounds, and a value that cannot be decoded counts as absent."""

import struct
import warnings
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from config.errors import UnreadableInputError
from ml.readers import part10
from ml.readers.attributes import number_of
from ml.readers.part10 import inflate, read_header, read_with_pixels
from tests.support.ct_series import head_series, stack

UNDEFINED = b"\xff\xff\xff\xff"
IN_TMP_PATH = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _image() -> Dataset:
    return head_series(stack([0.0], size=8))[0]


def _written(image: Dataset, folder: Path) -> Path:
    dcmwrite(folder / "image.dcm", image, enforce_file_format=True)
    return folder / "image.dcm"


def _deflate(inflated: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(inflated) + deflater.flush()


@given(st.binary(max_size=2000), st.integers(0, 3))
def test_inflating_undoes_deflating_up_to_the_limit(inflated: bytes, room: int) -> None:
    limit = len(inflated) + room
    assert inflate(_deflate(inflated), limit) == inflated
    assert inflate(_deflate(inflated) + b"\0", limit) == inflated
    if inflated:
        with pytest.raises(UnreadableInputError, match="more than"):
            inflate(_deflate(inflated), len(inflated) - 1)


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    bomb = _deflate(bytes(50_000_000))
    assert len(bomb) < 60_000
    with pytest.raises(UnreadableInputError, match="more than 1000 bytes"):
        inflate(bomb, 1000)


def test_a_deflated_stream_that_is_cut_short_is_refused() -> None:
    with pytest.raises(UnreadableInputError, match="cut short"):
        inflate(_deflate(b"patient" * 100)[:-3], 10_000)
    with pytest.raises(UnreadableInputError):
        inflate(b"\xff\xff\xff", 10_000)


def test_a_deflated_file_that_inflates_too_far_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image()
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = _written(image, tmp_path)
    assert read_header(file).SOPInstanceUID == image.SOPInstanceUID
    monkeypatch.setattr(part10, "LARGEST_FILE_BYTES", file.stat().st_size)
    with pytest.raises(UnreadableInputError, match="inflates to more than"):
        read_header(file)


def test_a_file_over_the_limit_is_not_even_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _written(_image(), tmp_path)
    monkeypatch.setattr(part10, "LARGEST_FILE_BYTES", file.stat().st_size - 1)
    for read in (read_header, read_with_pixels):
        with pytest.raises(UnreadableInputError, match="the limit is"):
            read(file)


def test_a_header_ends_where_pixels_begin(tmp_path: Path) -> None:
    image = _image()
    file = _written(image, tmp_path)
    header = read_header(file)
    assert "PixelData" not in header
    assert header.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert header.ImagePositionPatient == image.ImagePositionPatient
    assert read_with_pixels(file).PixelData == image.PixelData


def test_a_value_that_cannot_be_decoded_counts_as_absent_and_is_never_quoted(
    tmp_path: Path,
) -> None:
    image = _image()
    image.add_new(0x00091001, "OB", b"\1\2\3\4\5\6")
    content = _written(image, tmp_path).read_bytes()
    file = tmp_path / "image.dcm"
    # an unsigned long of ten bytes, and a decimal string that is a name
    file.write_bytes(
        content.replace(b"OB\0\0\6\0\0\0", b"UL\x0a\0\1\2\3\4").replace(b"120 ", b"Jane")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        header = read_header(file)
    assert 0x00091001 not in header
    assert number_of(header, "KVP") is None
    assert header.Rows == 8


def test_values_too_long_for_a_header_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image()
    image.add_new(0x00091001, "OB", bytes(5000))
    file = _written(image, tmp_path)
    assert 0x00091001 in read_header(file)
    monkeypatch.setattr(part10, "LARGEST_VALUE_BYTES", 4000)
    header = read_header(file)
    assert 0x00091001 not in header
    assert header.Rows == 8


def _nested(depth: int, *, undefined_length: bool) -> bytes:
    """Referenced Image Sequence in itself, encoded in Explicit VR Little Endian (PS3.5 7.5)."""
    encoded = b""
    for _ in range(depth):
        if undefined_length:
            item = b"\xfe\xff\0\xe0" + UNDEFINED + encoded + b"\xfe\xff\x0d\xe0" + bytes(4)
            value, length = item + b"\xfe\xff\xdd\xe0" + bytes(4), UNDEFINED
        else:
            value = b"\xfe\xff\0\xe0" + struct.pack("<I", len(encoded)) + encoded
            length = struct.pack("<I", len(value))
        encoded = b"\x08\0\x40\x11SQ\0\0" + length + value
    return encoded


@pytest.mark.parametrize("undefined_length", [True, False])
@pytest.mark.parametrize(("depth", "accepted"), [(16, True), (17, False), (5000, False)])
def test_sequences_may_nest_only_so_deep(
    tmp_path: Path, depth: int, *, accepted: bool, undefined_length: bool
) -> None:
    content = _written(_image(), tmp_path).read_bytes()
    series_date = b"\x08\0\x20\0DA"
    at = content.index(series_date)
    file = tmp_path / "nested.dcm"
    nested = _nested(depth, undefined_length=undefined_length)
    file.write_bytes(content[:at] + nested + content[at:])
    if accepted:
        assert read_header(file).Rows == 8
    else:
        with pytest.raises(UnreadableInputError):
            read_header(file)


def test_a_data_set_has_only_so_many_elements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image()
    items = []
    for number in range(60):
        item = Dataset()
        item.ReferencedSOPInstanceUID = f"1.2.{number}"
        items.append(item)
    image.ReferencedImageSequence = Sequence(items)
    file = _written(image, tmp_path)
    num_elements = len(read_header(file)) + 60
    monkeypatch.setattr(part10, "MOST_ELEMENTS", num_elements)
    assert read_header(file).Rows == 8
    monkeypatch.setattr(part10, "MOST_ELEMENTS", num_elements - 1)
    with pytest.raises(UnreadableInputError, match="elements"):
        read_header(file)


EMPTY_ITEM = b"\xfe\xff\0\xe0" + bytes(4)
MANY_ELEMENTS = b"".join(struct.pack("<HH2sH", 9, i, b"LO", 0) for i in range(4100))
MANY_ITEMS = (
    b"\x08\0\x40\x11SQ\0\0" + UNDEFINED + EMPTY_ITEM * 1400 + b"\xfe\xff\xdd\xe0" + bytes(4)
)
ITEMS_IN_MANY = b"".join(
    struct.pack("<HH2sHL", 9, 0x1000 + i, b"SQ", 0, 8 * 500) + EMPTY_ITEM * 500 for i in range(9)
)
VALUES_IN_MANY = b"".join(
    struct.pack("<HH2sH", 9, 0x1000 + i, b"DS", 1000) + b"1\\" * 500 for i in range(9)
)


@pytest.mark.parametrize(
    ("bomb", "message"),
    [
        (MANY_ELEMENTS, "too many elements and items"),
        (MANY_ITEMS, "too many elements and items"),
        (ITEMS_IN_MANY, "more than 4000 values"),
        (VALUES_IN_MANY, "more than 4000 values"),
    ],
    ids=["elements", "items", "items in many sequences", "values in many elements"],
)
def test_small_parts_that_would_take_much_memory_are_refused(
    tmp_path: Path, bomb: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part10, "MOST_SMALL_READS", 4000)
    monkeypatch.setattr(part10, "MOST_VALUES", 4000)
    content = _written(_image(), tmp_path).read_bytes()
    at = content.index(b"\x08\0\x20\0DA")
    file = tmp_path / "bomb.dcm"
    file.write_bytes(content[:at] + bomb + content[at:])
    with pytest.raises(UnreadableInputError, match=message):
        read_header(file)


@pytest.mark.parametrize("vr", [b"DS", b"US"])
def test_elements_of_very_many_values_are_left_out_of_headers(tmp_path: Path, vr: bytes) -> None:
    content = _written(_image(), tmp_path).read_bytes()
    at = content.index(b"\x08\0\x20\0DA")
    file = tmp_path / "table.dcm"
    table = struct.pack("<HH2sH", 9, 0x1000, vr, 10_000) + b"1\\" * 5000
    file.write_bytes(content[:at] + table + content[at:])
    header = read_header(file)
    assert 0x00091000 not in header
    assert header.Rows == 8


def test_a_file_that_is_no_dicom_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"Doe^Jane" * 40)
    with pytest.raises(UnreadableInputError) as refused:
        read_header(file)
    assert "Doe" not in str(refused.value)
    with pytest.raises(UnreadableInputError):
        read_header(tmp_path / "absent.dcm")


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.1", "1.2.3", "", "1.2.840.113619.5.2"])
def test_an_unknown_transfer_syntax_is_refused(tmp_path: Path, syntax: str) -> None:
    content = _written(_image(), tmp_path).read_bytes()
    known = b"1.2.840.10008.1.2.1\0"
    file = tmp_path / "image.dcm"
    file.write_bytes(content.replace(known, syntax.encode().ljust(len(known), b"\0"), 1))
    with pytest.raises(UnreadableInputError):
        read_header(file)


@IN_TMP_PATH
@given(noise=st.binary(max_size=400), at=st.integers(132, 1200))
def test_foreign_bytes_are_read_or_refused_and_nothing_else(
    tmp_path: Path, noise: bytes, at: int
) -> None:
    content = _written(_image(), tmp_path).read_bytes()
    file = tmp_path / "spoilt.dcm"
    file.write_bytes(content[:at] + noise + content[at + len(noise) :])
    for read in (read_header, read_with_pixels):
        try:
            read(file)
        except UnreadableInputError:
            continue


@IN_TMP_PATH
@given(length=st.integers(0, 1500))
def test_a_file_that_is_cut_short_is_read_or_refused(tmp_path: Path, length: int) -> None:
    content = _written(_image(), tmp_path).read_bytes()
    file = tmp_path / "short.dcm"
    file.write_bytes(content[:length])
    try:
        read_header(file)
    except UnreadableInputError:
        return
    assert length > 132

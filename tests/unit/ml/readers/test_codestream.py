"""A frame's own header is believed before its decoder is."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import UnreadableInputError
from ml.readers.codestream import codestream_of

sizes = st.integers(1, 65535)


@given(rows=sizes, columns=sizes, precision=st.integers(2, 16), comment=st.binary(max_size=300))
def test_the_size_of_a_jpeg_is_found_behind_other_segments(
    rows: int, columns: int, precision: int, comment: bytes
) -> None:
    for start_of_frame in (0xC3, 0xF7):
        frame = b"\xff\xd8\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + b"\xff"
        frame += struct.pack(">BBHBHHB", 0xFF, start_of_frame, 11, precision, rows, columns, 1)
        announced = codestream_of(frame)
        assert announced[:4] == (rows, columns, 1, precision)


@given(
    rows=sizes, columns=sizes, offset=st.integers(0, 99), signed=st.booleans(), wrapper=st.binary()
)
def test_the_size_of_a_jpeg_2000_image_excludes_its_offset(
    rows: int, columns: int, offset: int, *, signed: bool, wrapper: bytes
) -> None:
    depth = 11 | (0x80 if signed else 0)
    siz = struct.pack(">HH8IHBBB", 41, 0, columns + offset, rows + offset, offset, offset,
                      columns, rows, 0, 0, 1, depth, 1, 1)  # fmt: skip
    announced = codestream_of(b"\0" + wrapper.replace(b"\xff", b"") + b"\xff\x4f\xff\x51" + siz)
    assert announced == (rows, columns, 1, 12, signed)


@given(st.binary(max_size=200))
def test_whatever_is_no_codestream_is_refused(frame: bytes) -> None:
    for prefix in (b"\0", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"):
        try:
            codestream_of(prefix + frame)
        except UnreadableInputError:
            continue


def test_a_jpeg_whose_scan_starts_without_a_size_is_refused() -> None:
    with pytest.raises(UnreadableInputError):
        codestream_of(b"\xff\xd8\xff\xda\0\x08\1\1\0\0\0\0")

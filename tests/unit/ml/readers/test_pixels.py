"""Pixels come out as they went in, whatever the transfer syntax, and never without a limit."""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from config.errors import Reason, UnreadableInputError
from ml.readers.part10 import read_header, read_with_pixels
from ml.readers.pixels import (
    decoded_frames,
    is_lossy,
    pixel_format,
    supported_transfer_syntaxes,
)
from tests.support.ct_series import head_series, stack
from tests.support.transcoding import LOSSLESS, write_as

HIGH_THROUGHPUT = b64decode(
    "/0//UQApQAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAIEBEAB"
    "/1wACiCIkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAEwAAf+TwAArAP9/me7T/W3sAoG0AMAA"
    "E0AAE4AQEAGCdACSKIkAw1QAwAAqIAAVYDiO46pwgnUAzjt37vzAQgHstgD/2Q=="
)
"""A frame of 8 x 8 values, 61 times their index modulo 4096, encoded by OpenJPH."""


def _image(values: NDArray[np.integer], *, bits_stored: int) -> Dataset:
    image = head_series(stack([0.0], size=8))[0]
    image.Rows, image.Columns = values.shape
    image.BitsAllocated = values.dtype.itemsize * 8
    image.BitsStored, image.HighBit = bits_stored, bits_stored - 1
    image.PixelRepresentation = int(values.dtype.kind == "i")
    image.PixelData = values.tobytes()
    return image


def _decode(file: Path) -> list[NDArray[np.integer]]:
    return list(decoded_frames(read_with_pixels(file), pixel_format(read_header(file))))


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize(
    ("dtype", "bits_stored", "span"),
    [
        ("<u2", 12, (0, 4096)),
        ("<u2", 16, (0, 65536)),
        ("<i2", 16, (-2000, 3072)),
        ("<u1", 8, (0, 256)),
    ],
)
def test_stored_values_survive_every_lossless_syntax(
    tmp_path: Path, syntax: UID, dtype: str, bits_stored: int, span: tuple[int, int]
) -> None:
    values = np.random.default_rng(3).integers(*span, (40, 36)).astype(dtype)
    file = write_as(_image(values, bits_stored=bits_stored), syntax, tmp_path / "image.dcm")
    (decoded,) = _decode(file)
    np.testing.assert_array_equal(decoded, values)
    assert decoded.dtype == values.dtype


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000_is_decoded(tmp_path: Path, syntax: UID) -> None:
    values = (np.arange(64).reshape(8, 8) * 61 % 4096).astype("<u2")
    image = _image(values, bits_stored=16)
    image.PixelData = encapsulate([HIGH_THROUGHPUT])
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = syntax
    dcmwrite(tmp_path / "image.dcm", image, enforce_file_format=True)
    (decoded,) = _decode(tmp_path / "image.dcm")
    np.testing.assert_array_equal(decoded, values)
    assert str(syntax) in supported_transfer_syntaxes()
    assert is_lossy(image) is (syntax == HTJ2K)


def test_every_lossless_syntax_is_offered_and_none_without_a_decoder() -> None:
    offered = supported_transfer_syntaxes()
    assert set(LOSSLESS) <= set(offered)
    assert str(JPEGExtended12Bit) not in offered
    assert len(set(offered)) == len(offered)


def test_signed_values_that_were_encoded_as_unsigned_ones_are_read_right(
    tmp_path: Path,
) -> None:
    values = np.tile(np.array([[-2000, -1], [0, 3000]], "<i2"), (20, 20))
    as_unsigned = values.view("<u2") & np.uint16(0x1FFF)
    image = _image(as_unsigned, bits_stored=13)
    file = write_as(image, JPEG2000Lossless, tmp_path / "image.dcm")
    image = read_with_pixels(file)
    image.PixelRepresentation = 1
    dcmwrite(file, image, enforce_file_format=True)
    (decoded,) = _decode(file)
    np.testing.assert_array_equal(decoded, values)


def _set(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda image: setattr(image, keyword, value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_set("SamplesPerPixel", 3), "Samples per Pixel is 3"),
        (_set("BitsAllocated", 32), "Bits Allocated is 32"),
        (_set("BitsAllocated", 1), "Bits Allocated is 1"),
        (_set("BitsStored", 17), "Bits Stored is 17"),
        (_set("BitsStored", 0), "Bits Stored is 0"),
        (_set("HighBit", 11), "High Bit is 11"),
        (_set("Rows", 2049), "2049 rows"),
        (_set("Columns", 0), "0 columns"),
        (_set("NumberOfFrames", 1 << 30), "the limit is"),
        (_set("NumberOfFrames", -1), "-1 frames"),
        (_set("Rows", None), "None rows"),
    ],
)
def test_what_exceeds_a_limit_is_refused_by_its_header_alone(
    tmp_path: Path, spoil: Callable[[Dataset], None], message: str
) -> None:
    image = _image(np.zeros((40, 36), "<u2"), bits_stored=16)
    spoil(image)
    dcmwrite(tmp_path / "image.dcm", image, enforce_file_format=True)
    with pytest.raises(UnreadableInputError, match=message) as refused:
        pixel_format(read_header(tmp_path / "image.dcm"))
    assert refused.value.reason is Reason.FORMAT


def test_a_syntax_without_a_decoder_is_refused(tmp_path: Path) -> None:
    image = _image(np.zeros((40, 36), "<u2"), bits_stored=16)
    file = write_as(image, JPEGLossless, tmp_path / "image.dcm")
    image = read_with_pixels(file)
    image.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    dcmwrite(file, image, enforce_file_format=True)
    with pytest.raises(UnreadableInputError, match="no decoder"):
        pixel_format(read_header(file))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLossless])
def test_fewer_frames_than_announced_are_refused(tmp_path: Path, syntax: UID) -> None:
    file = write_as(
        _image(np.zeros((40, 36), "<u2"), bits_stored=16), syntax, tmp_path / "image.dcm"
    )
    image = read_with_pixels(file)
    image.NumberOfFrames = 2
    dcmwrite(file, image, enforce_file_format=True)
    with pytest.raises(UnreadableInputError):
        _decode(file)


@pytest.mark.parametrize("syntax", LOSSLESS[4:8], ids=lambda syntax: syntax.keyword)
def test_a_codestream_larger_than_its_header_announces_is_never_decoded(
    tmp_path: Path, syntax: UID
) -> None:
    values = np.random.default_rng(3).integers(0, 4096, (64, 64)).astype("<u2")
    file = write_as(_image(values, bits_stored=16), syntax, tmp_path / "image.dcm")
    image = read_with_pixels(file)
    image.Rows = image.Columns = 32
    dcmwrite(file, image, enforce_file_format=True)
    with pytest.raises(UnreadableInputError):
        _decode(file)


def test_native_pixel_data_that_are_too_short_are_refused(tmp_path: Path) -> None:
    image = _image(np.zeros((40, 36), "<u2"), bits_stored=16)
    image.PixelData = image.PixelData[:-2]
    dcmwrite(tmp_path / "image.dcm", image, enforce_file_format=True)
    with pytest.raises(UnreadableInputError, match="shorter"):
        _decode(tmp_path / "image.dcm")


def test_an_encoded_frame_of_absurd_length_is_refused(tmp_path: Path) -> None:
    image = _image(np.zeros((40, 36), "<u2"), bits_stored=16)
    file = write_as(image, RLELossless, tmp_path / "image.dcm")
    image = read_with_pixels(file)
    image.PixelData = encapsulate([b"\x81\0" * 50_000])
    dcmwrite(file, image, enforce_file_format=True)
    with pytest.raises(UnreadableInputError, match="longer"):
        _decode(file)


@pytest.mark.parametrize("syntax", LOSSLESS[4:], ids=lambda syntax: syntax.keyword)
def test_a_spoilt_frame_is_refused_without_quoting_the_decoder(tmp_path: Path, syntax: UID) -> None:
    image = _image(np.zeros((40, 36), "<u2"), bits_stored=16)
    file = write_as(image, syntax, tmp_path / "image.dcm")
    image = read_with_pixels(file)
    image.PixelData = encapsulate([b"Doe^Jane" * 4])
    dcmwrite(file, image, enforce_file_format=True)
    with pytest.raises(UnreadableInputError) as refused:
        _decode(file)
    assert "Doe" not in str(refused.value)


def test_images_without_pixel_data_are_refused(tmp_path: Path) -> None:
    image = _image(np.zeros((40, 36), "<u2"), bits_stored=16)
    del image.PixelData
    dcmwrite(tmp_path / "image.dcm", image, enforce_file_format=True)
    with pytest.raises(UnreadableInputError, match="cannot be decoded"):
        _decode(tmp_path / "image.dcm")


def test_lossy_images_are_told_by_their_header_or_by_their_syntax(tmp_path: Path) -> None:
    image = _image(np.zeros((40, 36), "<u2"), bits_stored=16)
    assert not is_lossy(image)
    image.LossyImageCompression = "00"
    assert not is_lossy(image)
    image.file_meta.TransferSyntaxUID = JPEGLSNearLossless
    assert is_lossy(image)
    image = _image(np.zeros((40, 36), "<u2"), bits_stored=16)
    image.LossyImageCompression = "01"
    assert is_lossy(image)

"""A series becomes the volume that was scanned, whatever the files' order, kind and encoding."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import DataElement, Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from config.errors import InputError, Reason, UnreadableInputError, UnsupportedInputError
from ml.readers import dicom
from ml.readers.dicom import FrameReference, read_series
from ml.volume import Grid, Volume
from tests.support.ct_series import (
    SEEN_FROM_ABOVE,
    even_heights,
    head_series,
    legacy_converted,
    series_of,
    stack,
    uid,
    write,
)
from tests.support.heads import Head
from tests.support.transcoding import write_as

SMALL = stack(even_heights(6, 12.0), size=32, pixel_mm=7.0)


def _scan(volume: Volume) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Values as a scanner stores them: whole, and not below air."""
    return np.maximum(np.rint(volume.hu), -1024)


@pytest.mark.parametrize(
    "grid",
    [
        SMALL,
        stack([-30.0, -26.0, -24.9, -18.0], tilt_deg=18.5, size=32, pixel_mm=7.0),
        stack(even_heights(6, 12.0)[::-1], directions=SEEN_FROM_ABOVE, size=32, pixel_mm=7.0),
    ],
    ids=["even", "tilted and uneven", "seen from above"],
)
def test_a_series_is_read_as_it_was_scanned(tmp_path: Path, grid: Grid) -> None:
    volume = Head().volume(grid)
    series = read_series(write(series_of(volume), tmp_path))
    rising = slice(None, None, 1 if grid.slice_origins_mm[0, 2] < 0 else -1)
    np.testing.assert_array_equal(series.volume.hu, _scan(volume)[rising])
    np.testing.assert_allclose(
        series.volume.grid.slice_origins_mm, grid.slice_origins_mm[rising], atol=1e-5
    )
    assert series.volume.hu.dtype == np.float32
    assert not series.lossy


def test_the_order_of_the_files_means_nothing(tmp_path: Path) -> None:
    files = write(head_series(SMALL), tmp_path)
    first = read_series(files)
    shuffled = files.copy()
    random.Random(4).shuffle(shuffled)
    second = read_series(shuffled)
    np.testing.assert_array_equal(first.volume.hu, second.volume.hu)
    assert first.pixel_digest == second.pixel_digest
    assert first.frames == second.frames == tuple(FrameReference(index, 1) for index in range(6))
    assert [header.InstanceNumber for header in second.headers] == [1, 2, 3, 4, 5, 6]


def test_headers_carry_no_pixels_and_keep_their_file_meta_information(tmp_path: Path) -> None:
    for header in read_series(write(head_series(SMALL), tmp_path)).headers:
        assert "PixelData" not in header
        assert header.PatientID == "SYN-a"
        assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID


def test_a_multi_frame_image_gives_the_same_volume_as_its_sources(tmp_path: Path) -> None:
    images = head_series(stack([-30.0, -26.0, -24.9, -18.0], tilt_deg=18.5, size=32))
    single = read_series(write(images, tmp_path / "single"))
    multi = read_series(write([legacy_converted(images)], tmp_path / "multi"))
    np.testing.assert_array_equal(multi.volume.hu, single.volume.hu)
    np.testing.assert_allclose(
        multi.volume.grid.slice_origins_mm, single.volume.grid.slice_origins_mm, atol=1e-5
    )
    assert len(multi.headers) == 1
    assert {frame.dataset_index for frame in multi.frames} == {0}
    groups = multi.headers[0].PerFrameFunctionalGroupsSequence
    for frame, origin in zip(multi.frames, multi.volume.grid.slice_origins_mm, strict=True):
        position = groups[frame.frame_number - 1].PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(np.array(position, float), origin, atol=1e-5)


def test_the_digest_survives_lossless_compression_and_tells_a_single_pixel(tmp_path: Path) -> None:
    images = head_series(SMALL)
    plain = read_series(write(images, tmp_path / "plain"))
    for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        files = [
            write_as(image, syntax, tmp_path / syntax.keyword / f"{index}.dcm")
            for index, image in enumerate(images)
        ]
        packed = read_series(files)
        assert packed.pixel_digest == plain.pixel_digest
        np.testing.assert_array_equal(packed.volume.hu, plain.volume.hu)
    pixels = bytearray(images[3].PixelData)
    pixels[100] ^= 1
    images[3].PixelData = bytes(pixels)
    assert read_series(write(images, tmp_path / "other")).pixel_digest != plain.pixel_digest
    renamed = head_series(SMALL, name="b")
    assert read_series(write(renamed, tmp_path / "renamed")).pixel_digest != plain.pixel_digest


def test_rescale_is_applied_image_by_image(tmp_path: Path) -> None:
    volume = Head().volume(SMALL)
    even = series_of(volume, slope=0.5, intercept=-1024)
    odd = series_of(volume, slope=2, intercept=-8192)
    mixed = [pair[index % 2] for index, pair in enumerate(zip(even, odd, strict=True))]
    hu = read_series(write(mixed, tmp_path)).volume.hu
    assert np.abs(hu - np.maximum(volume.hu, -1024)).max() < 1.01


def _one_image(**attributes: object) -> Dataset:
    image = head_series(stack([0.0], size=8))[0]
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


def _values(image: Dataset, values: list[int], dtype: str, folder: Path) -> list[float]:
    image.Rows, image.Columns = 1, len(values)
    image.PixelRepresentation = int(dtype[1] == "i")
    image.PixelData = np.array(values).astype(dtype).tobytes()
    hu = read_series(write([image], folder)).volume.hu
    return [float(value) for value in hu[0, 0]]


def test_padding_and_what_lies_below_air_become_air(tmp_path: Path) -> None:
    signed = _one_image(RescaleIntercept="0", PixelRepresentation=1, PixelPaddingValue=-2000)
    assert _values(signed, [-2000, -1500, -1000, 40], "<i2", tmp_path) == [-1024, -1024, -1000, 40]
    # a padding value above all tissue, and one whose sign was lost
    above = _one_image(PixelPaddingValue=65000)
    assert _values(above, [65000, 1064], "<u2", tmp_path) == [-1024, 40]
    lost = _one_image()
    lost.add_new(0x00280120, "US", 63536)
    assert _values(lost, [-2000, 1064], "<i2", tmp_path) == [-1024, 40]
    within = _one_image(PixelPaddingValue=60000, PixelPaddingRangeLimit=65000)
    assert _values(within, [60000, 62000, 65000, 65001], "<u2", tmp_path)[:3] == [-1024] * 3


def test_a_padding_value_within_the_range_of_tissue_blanks_out_nothing(tmp_path: Path) -> None:
    image = _one_image(RescaleIntercept="0", PixelPaddingValue=0)
    assert _values(image, [0, 40], "<u2", tmp_path) == [0, 40]


def test_bits_beyond_bits_stored_mean_nothing(tmp_path: Path) -> None:
    unsigned = _one_image(BitsStored=12, HighBit=11)
    assert _values(unsigned, [1064, 1064 | 0x8000], "<u2", tmp_path) == [40, 40]
    signed = _one_image(BitsStored=12, HighBit=11, RescaleIntercept="0")
    assert _values(signed, [-500, 0x0E0C, 40], "<i2", tmp_path) == [-500, -500, 40]


def _set(keyword: str, value: object) -> Callable[[list[Dataset]], None]:
    return lambda images: setattr(images[2], keyword, value)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda images: images.clear(), UnsupportedInputError, "no images"),
        (_set("SOPClassUID", SecondaryCaptureImageStorage), UnsupportedInputError, "SOP Class"),
        (_set("SeriesInstanceUID", uid("b")), UnreadableInputError, "differ in SeriesInstanceUID"),
        (_set("FrameOfReferenceUID", uid("b")), UnreadableInputError, "FrameOfReferenceUID"),
        (_set("RescaleType", "US"), UnreadableInputError, "Rescale Type is not HU"),
        (_set("RescaleSlope", "0"), UnreadableInputError, "Rescale Slope and Intercept"),
        (_set("PhotometricInterpretation", "MONOCHROME1"), UnreadableInputError, "MONOCHROME2"),
        (_set("ImagePositionPatient", [9, 9, 0]), UnreadableInputError, "same position"),
        (_set("Columns", 16), UnreadableInputError, "differ in Rows and Columns"),
        (_set("NumberOfFrames", 2), UnreadableInputError, "descriptions of frames"),
        (lambda images: images.append(images[0]), UnreadableInputError, "same position"),
    ],
)
def test_what_is_no_single_stack_of_hounsfield_units_is_refused(
    tmp_path: Path,
    spoil: Callable[[list[Dataset]], None],
    error: type[InputError],
    message: str,
) -> None:
    images = head_series(stack([0, 5.0, 10.0], size=32))
    spoil(images)
    with pytest.raises(error, match=message) as refused:
        read_series(write(images, tmp_path))
    assert refused.value.reason is (
        Reason.TYPES if error is UnsupportedInputError else Reason.FORMAT
    )


def test_a_series_too_large_to_decode_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(head_series(SMALL), tmp_path)
    monkeypatch.setattr(dicom, "LARGEST_PIXEL_DATA_BYTES", 6 * 32 * 32 * 2)
    read_series(files)
    monkeypatch.setattr(dicom, "LARGEST_PIXEL_DATA_BYTES", 6 * 32 * 32 * 2 - 1)
    with pytest.raises(UnreadableInputError, match="more than"):
        read_series(files)


def test_lossy_images_are_flagged(tmp_path: Path) -> None:
    images = head_series(SMALL)
    images[5].LossyImageCompression = "01"
    assert read_series(write(images, tmp_path)).lossy


def test_an_enhanced_image_without_a_description_of_its_frames_is_refused(tmp_path: Path) -> None:
    image = _one_image(SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=2)
    image.PixelData = image.PixelData * 2
    with pytest.raises(UnreadableInputError, match="2 frames and 1 descriptions"):
        read_series(write([image], tmp_path))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelPaddingValue", "1e308"),
        ("PixelPaddingRangeLimit", "-1e20"),
        ("RescaleSlope", "1e308"),
        ("RescaleIntercept", "-1e308"),
        ("ImagePositionPatient", "0\\0\\1e308"),
        ("ImageOrientationPatient", "1\\0\\0\\0\\1e308\\0"),
        ("PixelSpacing", "1e308\\1e308"),
        ("SliceThickness", "1e308"),
    ],
)
def test_absurd_numbers_count_as_absent_and_overflow_nowhere(
    tmp_path: Path, keyword: str, value: str
) -> None:
    images = head_series(SMALL, PixelPaddingValue=0)
    for image in images:
        image[keyword] = DataElement(keyword, "DS", value.split("\\"))
    files = write(images, tmp_path)
    try:
        read_series(files)
    except InputError as error:
        assert error.reason is Reason.FORMAT  # noqa: PT017 - either end is right

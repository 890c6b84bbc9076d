"""What is no head, and what was one, gets the report that a radiologist would expect of the node.

All go the way of the node: `select`, `read`, and `result_of` for what is refused.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from config.errors import InputError, Reason
from ml.volume import Volume
from node import pipeline
from node.results.outcomes import Outcome, StudyResult
from tests.support.ct_series import series_of, stack, write
from tests.support.shared_data import shared_data, shared_files

pytestmark = pytest.mark.peers


def reported(files: list[Path]) -> StudyResult:
    with pytest.raises(InputError) as refused:
        pipeline.read(pipeline.select(files).files)
    return pipeline.result_of(refused.value)


def test_a_real_head_is_read() -> None:
    chosen = pipeline.select(shared_files("head_ct_ge"))
    assert len(pipeline.read(chosen.files).volume.hu) == 28
    assert pipeline.shortfall_of(chosen) == ""


def test_a_plastic_head_was_scanned_well_but_holds_no_brain() -> None:
    result = reported(shared_files("phantom_philips"))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.QUALITY)
    assert "a brain has at least 400 ml" in result.detail


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("phantom_philips", "S1000"), "The series is a localizer."),
        (("phantom_philips", "S4010"), "The series is a secondary capture or a summary."),
        (("intake", "not_a_head"), "The series is a secondary capture or a summary."),
    ],
    ids=["scout", "summary pages", "cartoon"],
)
def test_what_is_no_ct_of_a_head_is_not_attempted(parts: tuple[str, ...], words: str) -> None:
    result = reported(shared_files(*parts))
    assert (result.outcome, result.reason) == (Outcome.NOT_ATTEMPTED, Reason.TYPES)
    assert result.detail == f"No series qualifies. {words}"


@pytest.mark.parametrize(
    ("folder", "reason", "words"),
    [
        ("gantrytilting", Reason.INCOMPLETE, "There are too few slices."),
        ("sliceincrement", Reason.INCOMPLETE, "Slices are missing."),
        ("notavolume", Reason.FORMAT, "Several slices lie at the same position."),
    ],
)
def test_broken_geometry_fails_for_what_is_broken(folder: str, reason: Reason, words: str) -> None:
    result = reported(shared_files("intake", "broken", folder))
    assert (result.outcome, result.reason) == (Outcome.FAILED, reason)
    assert result.detail == f"No series qualifies. {words}"


def cartoon() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Brightness of the cartoon, 128 x 128, from 0 to 1."""
    folder = shared_data("intake", "not_a_head", "humans")
    dataset = dcmread(sorted(folder.glob("*.dcm"))[0])
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    picture = Image.open(BytesIO(frame)).convert("L").resize((128, 128))
    return np.asarray(picture, np.float32) / 255


@pytest.mark.parametrize(
    ("lowest_hu", "highest_hu", "reason"),
    [
        (0.0, 255.0, Reason.FORMAT),
        (-1024.0, 1000.0, Reason.FORMAT),
        (1000.0, -1024.0, Reason.QUALITY),
    ],
)
def test_a_cartoon_in_the_clothes_of_a_head_ct_is_told_by_its_pixels(
    tmp_path: Path, lowest_hu: float, highest_hu: float, reason: Reason
) -> None:
    grid = stack(size=128, pixel_mm=1.8)
    hu = np.repeat(
        lowest_hu + (highest_hu - lowest_hu) * cartoon()[None], len(grid.slice_origins_mm), 0
    )
    result = reported(write(series_of(Volume(hu.astype(np.float32), grid)), tmp_path))
    assert (result.outcome, result.reason) == (Outcome.FAILED, reason)


def _intercept_of_unsigned(image: Dataset, _index: int) -> None:
    image.RescaleIntercept = "1024"


def _slope_of_two(image: Dataset, _index: int) -> None:
    image.RescaleSlope = "2"


def _one_black(image: Dataset, index: int) -> None:
    if index == 14:
        image.PixelData = bytes(len(image.PixelData))


def _back_lost(image: Dataset, _index: int) -> None:
    half = len(image.PixelData) * 6 // 10
    image.PixelData = image.PixelData[:half] + bytes(len(image.PixelData) - half)


def _swapped(image: Dataset, _index: int) -> None:
    image.PixelData = np.frombuffer(image.PixelData, "<u2").byteswap().tobytes()


def _contrast_said(image: Dataset, _index: int) -> None:
    image.ContrastBolusAgent = "Omnipaque"


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (_intercept_of_unsigned, Reason.FORMAT, "not in Hounsfield units"),
        (_slope_of_two, Reason.FORMAT, "not in Hounsfield units"),
        (_one_black, Reason.QUALITY, "images are damaged"),
        (_back_lost, Reason.QUALITY, "part of the head is not shown"),
        (_swapped, Reason.QUALITY, "a brain has at least 400 ml"),
        (_contrast_said, Reason.TYPES, "Contrast medium was given."),
    ],
)
def test_a_real_head_that_was_spoilt_is_told(
    tmp_path: Path, spoil: Callable[[Dataset, int], None], reason: Reason, words: str
) -> None:
    images = [dcmread(file) for file in shared_files("head_ct_ge")]
    for index, image in enumerate(images):
        spoil(image, index)
    result = reported(write(images, tmp_path))
    assert result.reason is reason
    assert words in result.detail

"""Frames of any geometry become a stack from the feet to the head, or are refused."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.sequence import Sequence

from config.errors import Reason, UnreadableInputError
from ml.readers.frames import FrameHeader, frame_headers, grid_of, heights_mm
from ml.volume import Grid
from tests.support.ct_series import (
    CORONAL,
    PRONE,
    SEEN_FROM_ABOVE,
    SUPINE,
    head_series,
    legacy_converted,
    series_of,
    stack,
)
from tests.support.heads import Head


def _frames(grid: Grid) -> list[FrameHeader]:
    images = series_of(Head().volume(grid))
    return [frame for index, image in enumerate(images) for frame in frame_headers(image, index)]


@given(
    steps_mm=st.lists(st.floats(0.5, 12), min_size=2, max_size=8),
    tilt_deg=st.floats(-30, 30),
    directions=st.sampled_from([SUPINE, PRONE, SEEN_FROM_ABOVE]),
    shuffle=st.randoms(use_true_random=False),
)
def test_any_stack_is_found_again_in_whatever_order_its_images_come(
    steps_mm: list[float],
    tilt_deg: float,
    directions: tuple[tuple[float, ...], tuple[float, ...]],
    shuffle: random.Random,
) -> None:
    heights = np.cumsum([-40.0, *steps_mm])
    grid = stack(heights, tilt_deg=tilt_deg, directions=directions, size=8)
    frames = _frames(grid)
    shuffle.shuffle(frames)
    found, order = grid_of(frames)
    np.testing.assert_allclose(found.slice_origins_mm, grid.slice_origins_mm, atol=1e-5)
    np.testing.assert_allclose(found.row_direction, grid.row_direction, atol=1e-5)
    np.testing.assert_allclose(found.column_direction, grid.column_direction, atol=1e-5)
    assert (found.shape, found.pixel_spacing_mm) == (grid.shape, grid.pixel_spacing_mm)
    assert [frames[index].reference.dataset_index for index in order] == list(range(len(heights)))
    assert (np.diff(found.slice_origins_mm[:, 2]) > 0).all()


def test_rounded_direction_cosines_are_made_exact() -> None:
    frames: list[FrameHeader] = []
    for index, image in enumerate(head_series(stack([0, 5.0], tilt_deg=18.5, size=8))):
        image.ImageOrientationPatient = ["0.9999", "0.001", "0", "0", "0.948", "0.317"]
        frames.extend(frame_headers(image, index))
    grid, _ = grid_of(frames)
    assert np.linalg.norm(grid.row_direction) == pytest.approx(1, abs=1e-12)
    assert np.linalg.norm(grid.column_direction) == pytest.approx(1, abs=1e-12)
    assert float(grid.row_direction @ grid.column_direction) == pytest.approx(0, abs=1e-12)


def test_slices_that_are_not_axial_are_sorted_too() -> None:
    heights = heights_mm(_frames(stack([3.0, 2.0, 0.0], directions=CORONAL, size=8)))
    np.testing.assert_allclose(np.abs(np.diff(heights)), [1.0, 2.0], atol=1e-6)


def test_a_converted_image_says_the_same_as_its_sources() -> None:
    images = head_series(stack([0, 4.0, 11.0], tilt_deg=18.5, size=8), AcquisitionNumber=3)
    sources = [frame for index, image in enumerate(images) for frame in frame_headers(image, index)]
    converted = frame_headers(legacy_converted(images), 5)
    by_height = {round(float(frame.position_mm[2])): frame for frame in converted}  # type: ignore[index]
    assert len(by_height) == 3
    for source in sources:
        assert source.position_mm is not None
        frame = by_height[round(float(source.position_mm[2]))]
        assert frame.reference.dataset_index == 5
        for name in ("rows", "columns", "slice_thickness_mm", "rescale_slope", "rescale_intercept",
                     "rescale_type", "convolution_kernel", "acquisition_number"):  # fmt: skip
            assert getattr(frame, name) == getattr(source, name), name
        for name in ("position_mm", "orientation", "pixel_spacing_mm"):
            np.testing.assert_allclose(getattr(frame, name), getattr(source, name), atol=1e-5)
        assert frame.image_type[:3] == source.image_type


def test_a_frame_takes_what_is_its_own_before_what_all_frames_share() -> None:
    def macro(keyword: str, **attributes: object) -> Dataset:
        inner, outer = Dataset(), Dataset()
        for name, value in attributes.items():
            setattr(inner, name, value)
        setattr(outer, keyword, Sequence([inner]))
        return outer

    image = Dataset()
    image.RescaleIntercept = 7
    image.SharedFunctionalGroupsSequence = Sequence(
        [macro("PixelValueTransformationSequence", RescaleIntercept=0, RescaleSlope=2)]
    )
    image.PerFrameFunctionalGroupsSequence = Sequence(
        [
            macro("PixelValueTransformationSequence", RescaleIntercept=-1024),
            macro("FrameContentSequence", StackID="2", FrameAcquisitionNumber=9),
        ]
    )
    first, second = frame_headers(image, 0)
    assert (first.rescale_slope, first.rescale_intercept) == (2, -1024)
    assert (second.rescale_slope, second.rescale_intercept) == (2, 0)
    assert (second.stack_id, second.acquisition_number) == ("2", 9)
    assert [frame.reference.frame_number for frame in (first, second)] == [1, 2]


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("ImagePositionPatient", None, "Position .* is missing"),
        ("ImagePositionPatient", [1, 2], "Position .* is missing"),
        ("ImageOrientationPatient", None, "Orientation .* is missing"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "perpendicular"),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0], "perpendicular"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0, 1], "differ in Image Orientation"),
        ("PixelSpacing", None, "Pixel Spacing is missing"),
        ("PixelSpacing", [0, 1], "Pixel Spacing is missing"),
        ("PixelSpacing", [1, 1], "differ in Pixel Spacing"),
        ("Rows", 7, "differ in Rows"),
    ],
)
def test_what_forms_no_stack_is_refused_with_the_attribute_at_fault(
    keyword: str, value: object, message: str
) -> None:
    images = head_series(stack([0, 5.0, 10.0], size=8))
    if value is None:
        del images[1][keyword]
    else:
        setattr(images[1], keyword, value)
    frames = [frame for index, image in enumerate(images) for frame in frame_headers(image, index)]
    with pytest.raises(UnreadableInputError, match=message) as refused:
        grid_of(frames)
    assert refused.value.reason is Reason.FORMAT


def test_two_slices_at_one_position_are_refused() -> None:
    with pytest.raises(UnreadableInputError, match="same position"):
        grid_of(_frames(stack([0, 5.0, 5.01], size=8)))


def test_many_macros_of_many_frames_take_no_time() -> None:
    shared = Dataset()
    shared.PixelMeasuresSequence = [Dataset() for _ in range(6000)]
    image = head_series(stack([0.0], size=8))[0]
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = [Dataset() for _ in range(3000)]
    frames = frame_headers(image, 0)
    assert len(frames) == 3000
    assert frames[0].pixel_spacing_mm is not None

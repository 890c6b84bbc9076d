"""Gates on positions: no lost slice goes unnoticed, no legitimate stack is rejected."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.readers.frames import FrameHeader, FrameReference
from ml.volume import Grid
from node.selection.geometry import stack_cautions, stack_fault
from node.selection.rejections import Caution, Criteria, Rejection
from tests.support.ct_series import CORONAL, even_heights, stack

CRITERIA = Criteria()
UNEVEN = np.append(even_heights(14, 4.0), 26 + 1.08 + np.arange(14) * 7.0)
UNEVEN_MM = (4.0,) * 14 + (7.0,) * 14
"""Positions and thickness as a sequential scanner takes posterior fossa and convexity."""


def _frames(
    grid: Grid, thickness_mm: float | Sequence[float] | None, *, without: int | None = None
) -> list[FrameHeader]:
    if thickness_mm is None or isinstance(thickness_mm, float):
        thickness: Sequence[float | None] = [thickness_mm] * grid.shape[0]
    else:
        thickness = thickness_mm
    return [
        FrameHeader(
            reference=FrameReference(index, 1),
            rows=grid.rows,
            columns=grid.columns,
            image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
            stack_id="",
            position_mm=origin,
            orientation=np.concatenate([grid.row_direction, grid.column_direction]),
            pixel_spacing_mm=np.array(grid.pixel_spacing_mm),
            slice_thickness_mm=thickness[index],
            rescale_slope=1.0,
            rescale_intercept=-1024.0,
            rescale_type="HU",
            convolution_kernel="",
            acquisition_number=1,
        )
        for index, origin in enumerate(grid.slice_origins_mm)
        if index != without
    ]


def _rejection(
    heights_mm: NDArray[np.float64] | Sequence[float],
    thickness_mm: float | Sequence[float] | None,
    *,
    without: int | None = None,
    criteria: Criteria = CRITERIA,
) -> Rejection | None:
    fault = stack_fault(_frames(stack(heights_mm), thickness_mm, without=without), criteria)
    return None if fault is None else fault.rejection


@settings(max_examples=50, deadline=None)
@given(
    data=st.data(),
    num_slices=st.integers(24, 50),
    spacing_mm=st.floats(4.5, 5.5),
    overlap=st.sampled_from([None, 0.6, 1.0, 1.5, 2.0]),
    tilt_deg=st.floats(-30, 30),
)
def test_a_slice_lost_anywhere_between_others_is_missed(
    data: st.DataObject, num_slices: int, spacing_mm: float, overlap: float | None, tilt_deg: float
) -> None:
    rng = np.random.default_rng(num_slices)
    moved = rng.uniform(-0.02, 0.02, num_slices) * spacing_mm
    grid = stack(even_heights(num_slices, spacing_mm) + moved, tilt_deg=tilt_deg)
    thickness_mm = None if overlap is None else spacing_mm * overlap
    assert stack_fault(_frames(grid, thickness_mm), CRITERIA) is None
    lost = data.draw(st.integers(1, num_slices - 2))
    frames = _frames(grid, thickness_mm, without=lost)
    data.draw(st.randoms(use_true_random=False)).shuffle(frames)
    fault = stack_fault(frames, CRITERIA)
    assert fault is not None
    assert fault.rejection is Rejection.MISSING_SLICES


def test_spacing_may_change_with_thickness() -> None:
    assert _rejection(UNEVEN, UNEVEN_MM) is None
    cautions = stack_cautions(_frames(stack(UNEVEN, tilt_deg=18.5), UNEVEN_MM), CRITERIA)
    assert set(cautions) == {Caution.VARYING_SPACING, Caution.GANTRY_TILT}
    strict = Criteria(accept_uneven_spacing=False)
    assert _rejection(UNEVEN, UNEVEN_MM, criteria=strict) is Rejection.UNEVEN_SPACING


@pytest.mark.parametrize("lost", [index for index in range(1, 27) if index != 13])
def test_a_slice_lost_where_spacing_changes_is_missed_too(lost: int) -> None:
    assert _rejection(UNEVEN, UNEVEN_MM, without=lost) is Rejection.MISSING_SLICES


def test_a_lost_slice_whose_neighbours_overlapped_it_leaves_no_gap() -> None:
    assert _rejection(UNEVEN, UNEVEN_MM, without=13) is None


def test_without_thickness_a_change_of_spacing_counts_as_loss() -> None:
    assert _rejection(UNEVEN, None) is Rejection.MISSING_SLICES


def test_overlapping_slices_may_become_touching_ones() -> None:
    heights = np.append(np.arange(30) * 2.5, 72.5 + 5.0 * np.arange(1, 14))
    assert _rejection(heights, 5.0) is None
    for lost in (2, 8, 17, 25, 37):
        assert _rejection(heights, 5.0, without=lost) is Rejection.MISSING_SLICES


def test_touching_slices_may_not_become_distant_ones() -> None:
    heights = np.append(np.arange(20) * 5.0, 95 + 10.0 * np.arange(1, 8))
    assert _rejection(heights, 5.0) is Rejection.MISSING_SLICES
    assert _rejection(heights, (5.0,) * 20 + (10.0,) * 7) is None


def test_every_second_slice_lost_is_missed_by_the_thickness() -> None:
    assert _rejection(even_heights(40, 4.0), 2.0) is Rejection.MISSING_SLICES
    assert _rejection(even_heights(40, 4.0), None) is None


def test_narrow_gaps_between_all_slices_are_a_caution() -> None:
    assert _rejection(even_heights(40, 4.0), 3.0) is None
    cautions = stack_cautions(_frames(stack(even_heights(40, 4.0)), 3.0), CRITERIA)
    assert cautions == [Caution.SLICE_GAPS]


@pytest.mark.parametrize(
    ("heights_mm", "rejection"),
    [
        (np.insert(even_heights(30), 8, -37.49), Rejection.DUPLICATE_POSITIONS),
        ([0.0], Rejection.TOO_FEW_SLICES),
        (even_heights(11, 9.0), Rejection.TOO_FEW_SLICES),
        (even_heights(12, 9.0), None),
        (even_heights(17, 5.0), Rejection.TOO_SHORT),
        (even_heights(18, 5.0), None),
        (even_heights(70, 5.0), None),
        (even_heights(71, 5.0), Rejection.TOO_LONG),
        (even_heights(12, 10.0), None),
        (even_heights(12, 10.1), Rejection.SPACING),
        (even_heights(300, 0.4001), None),
        (even_heights(300, 0.39), Rejection.SPACING),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, np.ndarray) else str(value),
)
def test_a_stack_covers_a_head_and_no_more(
    heights_mm: NDArray[np.float64], rejection: Rejection | None
) -> None:
    assert _rejection(heights_mm, None) is rejection


def test_slices_may_be_tilted_up_to_a_limit() -> None:
    assert stack_fault(_frames(stack(tilt_deg=34.9), 5.0), CRITERIA) is None
    for grid in (stack(tilt_deg=35.1), stack(even_heights(30)[::-1], directions=CORONAL)):
        fault = stack_fault(_frames(grid, 5.0), CRITERIA)
        assert fault is not None
        assert fault.rejection is Rejection.NOT_AXIAL


def test_a_detail_names_the_gap() -> None:
    fault = stack_fault(_frames(stack(UNEVEN), UNEVEN_MM, without=20), CRITERIA)
    assert fault is not None
    assert fault.detail == "1 gaps, the widest 14.00 mm, usual 7.00 mm"

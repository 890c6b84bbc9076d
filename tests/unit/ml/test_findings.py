"""Measurements on the source grid."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.findings import Finding, Side, measure
from ml.plane import Alignment
from ml.volume import Grid, Mask, Subtype, Volume
from tests.support.heads import Head, Storage, axial_grid

GRID = axial_grid(num_slices=12, size=64, pixel_mm=2.0, step_mm=5.0)
CERTAIN = dict.fromkeys(Subtype, 80.0)


def ball(grid: Grid, centre_mm: tuple[float, float, float], radius_mm: float) -> NDArray[np.bool_]:
    position = grid.positions_mm(np.moveaxis(np.indices(grid.shape), 0, -1).astype(float))
    inside: NDArray[np.bool_] = np.linalg.norm(position - centre_mm, axis=-1) < radius_mm
    return inside


def measured(
    labels: NDArray[np.uint8], grid: Grid = GRID, hu: NDArray[np.float32] | None = None
) -> tuple[Finding, ...]:
    volume = Volume(np.zeros(grid.shape, np.float32) if hu is None else hu, grid)
    return measure(
        volume,
        Mask(labels, grid),
        certainty_percent=CERTAIN,
        alignment=Alignment.identity(grid),
    )


def labelled(*parts: tuple[Subtype, NDArray[np.bool_]], grid: Grid = GRID) -> NDArray[np.uint8]:
    labels = np.zeros(grid.shape, np.uint8)
    for subtype, inside in parts:
        labels[inside] = subtype
    return labels


def test_nothing_is_found_in_an_empty_mask() -> None:
    assert measured(labelled()) == ()


def test_the_largest_volume_comes_first() -> None:
    labels = labelled(
        (Subtype.IPH, ball(GRID, (30, 0, 0), 10)), (Subtype.SDH, ball(GRID, (-30, 0, 0), 18))
    )
    findings = measured(labels)
    assert [finding.subtype for finding in findings] == [Subtype.SDH, Subtype.IPH]
    mask = Mask(labels, GRID)
    for finding in findings:
        assert finding.volume_ml == pytest.approx(mask.volume_ml(finding.subtype))


def test_a_ball_measures_what_a_ball_measures() -> None:
    grid = axial_grid(num_slices=60, size=80, pixel_mm=1.0, step_mm=1.0)
    (finding,) = measured(labelled((Subtype.IPH, ball(grid, (10, 5, 0), 20)), grid=grid), grid)
    assert finding.volume_ml == pytest.approx(4 / 3 * np.pi * 8, rel=0.01)
    assert finding.max_diameter_mm == pytest.approx(40, abs=1.5)
    (outline,) = finding.outlines
    assert outline.area_mm2 == pytest.approx(np.pi * 400, rel=0.02)
    assert outline.slice_index in {29, 30}
    assert outline.label == "ICH-IPH"
    assert outline.points.mean(axis=0) == pytest.approx([40 + 10, 40 + 5], abs=0.6)


def test_volume_and_diameter_are_those_of_a_tilted_irregular_stack() -> None:
    heights_mm = np.array([0.0, 4.0, 8.0, 9.08, 16.08])
    grid = axial_grid(heights_mm=heights_mm, size=16, pixel_mm=1.0, tilt_deg=18.5)
    labels = np.zeros(grid.shape, np.uint8)
    labels[:, 3, 4] = Subtype.SAH
    (finding,) = measured(labels, grid)
    # the voxels stand above each other along the table
    assert finding.max_diameter_mm == pytest.approx(16.08)
    steps_mm = np.array([4.0, 4.0, 2.54, 4.04, 7.0]) * np.cos(np.deg2rad(18.5))
    assert finding.volume_ml == pytest.approx(steps_mm.sum() / 1000)


@pytest.mark.parametrize("way", [Storage(), Storage(True, False, True, True)])
def test_measures_do_not_depend_on_how_the_voxels_are_stored(way: Storage) -> None:
    labels = labelled((Subtype.EDH, ball(GRID, (30, -5, 4), 15)))
    (plain,) = measured(labels)
    (stored,) = measured(way.array(labels), way.grid(GRID))
    assert stored.volume_ml == pytest.approx(plain.volume_ml)
    assert stored.max_diameter_mm == pytest.approx(plain.max_diameter_mm)
    assert stored.outlines[0].area_mm2 == pytest.approx(plain.outlines[0].area_mm2)
    assert stored.side is plain.side is Side.LEFT


def test_one_voxel_has_an_outline_and_no_diameter() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[3, 7, 11] = Subtype.IVH
    (finding,) = measured(labels)
    assert finding.max_diameter_mm == 0
    assert finding.outlines[0].slice_index == 3
    corners = [[11, 7], [12, 7], [12, 8], [11, 8], [11, 7]]
    np.testing.assert_array_equal(finding.outlines[0].points, corners)
    assert finding.outlines[0].area_mm2 == pytest.approx(4.0)


@pytest.mark.parametrize("flat", [(slice(4, 5), slice(None), slice(None)), (slice(None), 20)])
def test_a_flat_lesion_has_a_diameter(flat: tuple[slice, ...]) -> None:
    grid = axial_grid(num_slices=12, size=600, pixel_mm=0.4, step_mm=5.0)
    labels = np.zeros(grid.shape, np.uint8)
    labels[flat] = Subtype.SDH
    (finding,) = measured(labels, grid)
    corners = grid.positions_mm(np.argwhere(labels > 0)[[0, -1]].astype(float))
    assert finding.max_diameter_mm == pytest.approx(np.linalg.norm(corners[1] - corners[0]))


def test_the_diameter_is_that_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = ball(GRID, (5, 0, 0), 30) & ~ball(GRID, (5, 6, 0), 24)
    (by_hull,) = measured(labelled((Subtype.SDH, inside)))
    monkeypatch.setattr("ml.findings._FEW_POINTS", 10**6)
    (by_pairs,) = measured(labelled((Subtype.SDH, inside)))
    assert by_hull.max_diameter_mm == pytest.approx(by_pairs.max_diameter_mm)


def test_the_area_leaves_out_holes_and_the_outline_does_not_show_them() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[5, 10:20, 10:20] = Subtype.IPH
    labels[5, 13:15, 13:15] = 0
    (finding,) = measured(labels)
    assert finding.outlines[0].area_mm2 == pytest.approx((100 - 4) * 4.0)
    assert len(finding.outlines[0].points) == 5


def test_the_outline_is_on_the_slice_with_the_largest_cross_section() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4, 10:14, 10:14] = Subtype.IPH
    labels[5, 10:16, 10:16] = Subtype.IPH
    # more pixels, but in two parts
    labels[6, 10:14, 10:15] = Subtype.IPH
    labels[6, 16:20, 10:15] = Subtype.IPH
    (finding,) = measured(labels)
    assert finding.outlines[0].slice_index == 5


def test_further_lesions_from_half_a_millilitre_on_are_outlined_and_all_are_counted() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    # one voxel is 0.02 ml
    for place, pixels in enumerate((10, 9, 8, 7, 6)):
        labels[2, place * 12 : place * 12 + 10, :pixels] = Subtype.SAH
    labels[8, 0:4, 40:44] = Subtype.SAH
    (finding,) = measured(labels)
    assert [outline.label for outline in finding.outlines] == [
        "ICH-SAH",
        "ICH-SAH-2",
        "ICH-SAH-3",
        "ICH-SAH-4",
    ]
    assert [outline.area_mm2 for outline in finding.outlines] == [400, 360, 320, 280]
    assert finding.volume_ml == pytest.approx((400 + 16) * 0.02)
    labels[2] = 0
    labels[2, :3, :3] = Subtype.SAH
    (finding,) = measured(labels)
    assert [outline.label for outline in finding.outlines] == ["ICH-SAH"]


def test_the_mean_is_that_of_the_voxels_inside() -> None:
    inside = ball(GRID, (20, 0, 0), 12)
    hu = np.where(inside, 62.0, -500.0).astype(np.float32)
    (finding,) = measured(labelled((Subtype.IPH, inside)), hu=hu)
    assert finding.mean_hu == pytest.approx(62.0)


@pytest.mark.parametrize(
    ("centre_mm", "side"),
    [((30.0, 0.0, 0.0), Side.LEFT), ((-30.0, 0.0, 0.0), Side.RIGHT), ((3.0, 0.0, 0.0), Side.BOTH)],
)
def test_the_side_is_that_of_the_patient(centre_mm: tuple[float, float, float], side: Side) -> None:
    (finding,) = measured(labelled((Subtype.IVH, ball(GRID, centre_mm, 14))))
    assert finding.side is side


def test_a_tenth_on_the_other_side_is_allowed() -> None:
    def side(right_voxels: int) -> Side | None:
        labels = np.zeros(GRID.shape, np.uint8)
        labels[3, :10, 50:60] = Subtype.SDH
        labels[3, 0, :right_voxels] = Subtype.SDH
        return measured(labels)[0].side

    assert side(11) is Side.LEFT
    assert side(12) is Side.BOTH


def test_the_side_is_judged_by_the_midline_of_the_head() -> None:
    head = Head(turned_deg=20, left_mm=15)
    grid = axial_grid(num_slices=8, size=64, pixel_mm=4.0, step_mm=10.0)
    index = np.moveaxis(np.indices(grid.shape), 0, -1).astype(float)
    lateral_mm = head.lateral_mm(grid.positions_mm(index))
    inside = (lateral_mm < -6) & (lateral_mm > -30) & ball(grid, (15, 0, 0), 60)
    centre_mm = grid.slice_origins_mm * np.array([0.0, 0, 1]) + np.array([15.0, 0, 0])
    (finding,) = measure(
        Volume(np.zeros(grid.shape, np.float32), grid),
        Mask(labelled((Subtype.SDH, inside), grid=grid), grid),
        certainty_percent=CERTAIN,
        alignment=Alignment(20.0, np.zeros(8), centre_mm),
    )
    assert finding.side is Side.RIGHT
    assert measured(labelled((Subtype.SDH, inside), grid=grid), grid)[0].side is Side.BOTH


def test_without_a_midline_there_is_no_side() -> None:
    (finding,) = measure(
        Volume(np.zeros(GRID.shape, np.float32), GRID),
        Mask(labelled((Subtype.SDH, ball(GRID, (30, 0, 0), 10))), GRID),
        certainty_percent={Subtype.SDH: 71.5},
        alignment=None,
    )
    assert finding.side is None
    assert finding.certainty_percent == 71.5


def test_a_mask_of_another_shape_is_refused() -> None:
    other = replace(GRID, columns=63)
    with pytest.raises(ValueError, match="the mask has shape"):
        measure(
            Volume(np.zeros(GRID.shape, np.float32), GRID),
            Mask(np.zeros(other.shape, np.uint8), other),
            certainty_percent={},
            alignment=None,
        )


def test_a_subtype_without_a_score_is_refused() -> None:
    labels = labelled((Subtype.SDH, ball(GRID, (30, 0, 0), 10)))
    with pytest.raises(ValueError, match="SDH is present but has no score"):
        measure(
            Volume(np.zeros(GRID.shape, np.float32), GRID),
            Mask(labels, GRID),
            certainty_percent={Subtype.IPH: 50.0},
            alignment=None,
        )

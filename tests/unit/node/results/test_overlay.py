"""Overlays: the outline lies where the mask is, the source is not moved, every image warns."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.volume import Grid, Mask, Subtype, Volume
from node.results import codes
from node.results.drawing import AMBER, draw_tissue, whole_slice
from node.results.identity import ContentQualification
from node.results.outcomes import StudyResult
from node.results.overlay import draw_overlay
from tests.support.result_inputs import (
    NODE,
    all_results,
    make_context,
    make_finding,
    make_findings,
    make_grid,
    make_mask,
    make_series,
)

CONTEXT = make_context()
LARGE, SCALE = (256, 264), 6
SLICE = 5
"""Shows IPH, IVH, EDH and SDH."""


def inputs(size: tuple[int, int] = LARGE, scale: int = SCALE) -> tuple[StudyResult, Volume, Mask]:
    grid = make_grid(size=size)
    mask = make_mask(grid, scale=scale)
    result = StudyResult.positive(make_findings(mask, tuple(Subtype), scale=scale), num_images=12)
    return result, make_series(grid).volume, mask


def drawn(result: StudyResult, volume: Volume, mask: Mask, index: int = SLICE) -> NDArray[np.uint8]:
    return np.asarray(draw_overlay(CONTEXT, result, volume, mask, index))


def painted(pixels: NDArray[np.uint8], rgb: tuple[int, int, int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (pixels == rgb).all(axis=2)
    return found


def ring(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels just outside a region, side by side with it."""
    padded = np.pad(region, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    outside: NDArray[np.bool_] = near & ~region
    return outside


@pytest.mark.parametrize("subtype", Subtype)
def test_the_outline_lies_around_the_mask_of_the_slice(subtype: Subtype) -> None:
    result, volume, mask = inputs()
    index = 8 if subtype is Subtype.SAH else SLICE
    colour = painted(drawn(result, volume, mask, index), codes.SUBTYPES[subtype].rgb)
    region = mask.labels[index] == subtype
    assert colour[ring(region)].all()
    middle = colour.copy()
    middle[-60:, :30] = False  # the squares of the legend
    np.testing.assert_array_equal(middle, ring(region))


def test_the_source_is_drawn_where_it_was_but_for_outlines_and_text() -> None:
    result, volume, mask = inputs()
    noise = np.random.default_rng(1).normal(40, 20, volume.hu.shape).astype(np.float32)
    noisy = Volume(noise, volume.grid)
    pixels = drawn(result, noisy, mask)
    plain = np.asarray(draw_tissue(noise[SLICE], whole_slice(volume.grid)))
    rings = np.any([ring(mask.labels[SLICE] == s) for s in Subtype], axis=0)
    between = np.zeros_like(rings)
    between[30:-80] = True
    np.testing.assert_array_equal(pixels[between & ~rings], plain[between & ~rings])


def amber_rows(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    return np.flatnonzero(painted(pixels, AMBER).any(axis=1))


def test_every_slice_warns_and_names_what_it_shows() -> None:
    result, volume, mask = inputs()
    for index in np.flatnonzero(mask.labels.any(axis=(1, 2))):
        pixels = drawn(result, volume, mask, int(index))
        rows = amber_rows(pixels)
        assert rows.size
        assert rows.max() < 30
        legend = pixels[-80:, :20]
        for subtype in Subtype:
            named = painted(legend, codes.SUBTYPES[subtype].rgb).sum() > 4
            assert named == (mask.labels[index] == subtype).any()


def test_the_warning_is_the_nodes_own() -> None:
    result, volume, mask = inputs()
    node = replace(NODE, content_qualification=ContentQualification.PRODUCT, approved=True)
    approved = draw_overlay(make_context(node=node), result, volume, mask, SLICE)
    other = np.asarray(approved)
    differs = (other != drawn(result, volume, mask)).any(axis=2)
    assert differs[:30].any()
    assert not differs[30:].any()


@pytest.mark.parametrize(("blood", "on_top"), [(slice(2, 14), False), (slice(-14, -2), True)])
def test_the_warning_stands_where_less_blood_lies_beneath_the_text(
    blood: slice, on_top: bool
) -> None:
    _, volume, empty = inputs()
    labels = np.zeros_like(empty.labels)
    labels[SLICE, blood, 200:240] = Subtype.SDH  # the warning is wide, the legend narrow
    mask = Mask(labels, empty.grid)
    result = StudyResult.positive([make_finding(mask, Subtype.SDH)], num_images=12)
    rows = amber_rows(drawn(result, volume, mask))
    assert (rows < 40).all() if on_top else (rows > 210).all()


def test_an_incomplete_analysis_is_said_to_be_one_on_the_image() -> None:
    _, volume, mask = inputs()
    few = Mask(np.where(mask.labels == Subtype.SDH, mask.labels, np.uint8(0)), mask.grid)
    partial = all_results(mask)["partly-positive"]
    full = StudyResult.positive(partial.findings, num_images=12)
    assert partial.wording.headline != full.wording.headline
    assert (drawn(partial, volume, few) != drawn(full, volume, few)).any()


@pytest.mark.parametrize("size", [(40, 44), (64, 64), (128, 128), (512, 400)])
def test_images_of_any_size_are_drawn_with_their_outlines_on_top(size: tuple[int, int]) -> None:
    scale = min(size) // 40
    result, volume, mask = inputs(size, scale)
    pixels = drawn(result, volume, mask)
    assert pixels.shape == (*size, 3)
    assert painted(pixels, AMBER).any() or min(size) < 128
    for subtype in (Subtype.IPH, Subtype.EDH):
        line = ring(mask.labels[SLICE] == subtype)
        assert painted(pixels, codes.SUBTYPES[subtype].rgb)[line].all()


def test_a_lesion_at_the_very_edge_is_drawn() -> None:
    grid: Grid = make_grid()
    labels = np.zeros(grid.shape, np.uint8)
    labels[0, 0, :] = labels[0, :, 0] = Subtype.SAH
    mask = Mask(labels, grid)
    result = StudyResult.positive([make_finding(mask, Subtype.SAH)], num_images=12)
    pixels = drawn(result, make_series(grid).volume, mask, 0)
    assert painted(pixels, codes.SUBTYPES[Subtype.SAH].rgb)[ring(labels[0] > 0)].all()

"""The parameters of a head."""

import numpy as np

from ml.phantom.anatomy import sample_head


def test_heads_vary_within_what_heads_are() -> None:
    heads = [sample_head(np.random.default_rng(seed)) for seed in range(40)]
    widths_mm = np.array([2 * head.skull.half_width_mm for head in heads])
    lengths_mm = np.array([2 * head.skull.half_length_mm for head in heads])
    assert 115 < widths_mm.min() < widths_mm.max() < 155
    assert 145 < lengths_mm.min() < lengths_mm.max() < 185
    assert all(head.brain.white_hu < head.brain.grey_hu - 4 for head in heads)
    assert all(head.brain.csf_hu < head.brain.white_hu - 5 for head in heads)


def test_mimics_of_blood_come_and_go() -> None:
    mimics = [sample_head(np.random.default_rng(seed)).mimics for seed in range(60)]
    for found in (
        [m.choroid_hu for m in mimics],
        [m.pineal_hu for m in mimics],
        [m.falx_hu for m in mimics],
        [m.ganglia_hu for m in mimics],
        [m.scalp_haematoma for m in mimics],
        [m.infarct for m in mimics],
    ):
        assert {value is None for value in found} == {True, False}

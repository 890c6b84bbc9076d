"""The parameters of bleeds."""

from collections import Counter

import numpy as np
import pytest

from ml.phantom.anatomy import sample_head
from ml.phantom.lesions import (
    SUBTYPE_OF,
    Intraparenchymal,
    Subarachnoid,
    sample_bleed,
    sample_subtypes,
)
from ml.volume import Subtype

HEAD = sample_head(np.random.default_rng(0))


def test_heads_are_healthy_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_subtypes(rng, healthy=0.4) for _ in range(2000)]
    assert sum(not subtypes for subtypes in drawn) / 2000 == pytest.approx(0.4, abs=0.04)
    assert sample_subtypes(rng, healthy=1.0) == ()


def test_a_bleeding_head_has_one_to_three_different_subtypes_in_order() -> None:
    rng = np.random.default_rng(1)
    drawn = [sample_subtypes(rng, healthy=0.0) for _ in range(500)]
    assert {len(subtypes) for subtypes in drawn} == {1, 2, 3}
    assert all(list(subtypes) == sorted(set(subtypes)) for subtypes in drawn)
    assert set(Counter(s for subtypes in drawn for s in subtypes)) == set(Subtype)


@pytest.mark.parametrize("subtype", list(Subtype))
def test_a_bleed_has_its_subtype_and_follows_from_the_seed(subtype: Subtype) -> None:
    first, again = (sample_bleed(np.random.default_rng(5), subtype, HEAD) for _ in range(2))
    assert SUBTYPE_OF[type(first)] is subtype
    assert first == again


def test_growth_enlarges() -> None:
    small, large = (
        sample_bleed(np.random.default_rng(8), Subtype.IPH, HEAD, growth=growth)
        for growth in (1.0, 2.0)
    )
    assert isinstance(small, Intraparenchymal)
    assert isinstance(large, Intraparenchymal)
    assert max(large.radii_mm) > max(small.radii_mm)


def test_lesions_are_drawn_inside_the_skull() -> None:
    skull = HEAD.skull
    axes = np.array([skull.half_width_mm, skull.half_length_mm, skull.height_mm])
    rng = np.random.default_rng(3)
    for subtype in (Subtype.IPH, Subtype.SAH):
        for _ in range(200):
            bleed = sample_bleed(rng, subtype, HEAD)
            assert isinstance(bleed, Intraparenchymal | Subarachnoid)
            assert np.linalg.norm(np.array(bleed.centre) / axes) < 1

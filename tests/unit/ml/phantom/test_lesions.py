"""The parameters of bleeds."""

from collections import Counter

import numpy as np
import pytest

from ml.phantom.anatomy import Difficulty, sample_head
from ml.phantom.lesions import (
    SUBTYPE_OF,
    Intraparenchymal,
    Subarachnoid,
    sample_bleeds,
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
    first, again = (sample_bleeds(np.random.default_rng(5), subtype, HEAD) for _ in range(2))
    assert {SUBTYPE_OF[type(bleed)] for bleed in first} == {subtype}
    assert first == again


def test_some_heads_have_two_bleeds_of_a_subtype() -> None:
    rng = np.random.default_rng(6)
    counts = Counter(len(sample_bleeds(rng, Subtype.SDH, HEAD)) for _ in range(400))
    assert set(counts) == {1, 2}
    assert counts[2] / 400 == pytest.approx(0.25, abs=0.08)


def test_hard_blood_is_hardly_brighter_than_the_brain_and_easy_blood_is_fresh() -> None:
    def brightness(difficulty: Difficulty) -> list[float]:
        rng = np.random.default_rng(7)
        return [
            bleed.hu - HEAD.brain.grey_hu
            for subtype in Subtype
            for _ in range(40)
            for bleed in sample_bleeds(rng, subtype, HEAD, difficulty=difficulty)
        ]

    assert max(brightness(Difficulty.HARD)) <= 12.01
    assert min(brightness(Difficulty.EASY)) > 12.01
    standard = brightness(Difficulty.STANDARD)
    assert min(standard) < 12
    assert max(standard) > 30


def test_growth_enlarges() -> None:
    small, large = (
        sample_bleeds(np.random.default_rng(8), Subtype.IPH, HEAD, growth=growth)[0]
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
            bleed = sample_bleeds(rng, subtype, HEAD)[0]
            assert isinstance(bleed, Intraparenchymal | Subarachnoid)
            assert np.linalg.norm(np.array(bleed.centre) / axes) < 1

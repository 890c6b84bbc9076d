"""Groups of cases, and what is counted in them."""

import pytest

from ml.evaluation.cases import Overlap
from ml.evaluation.strata import by_kind, by_thickness, by_volume

from .conftest import THRESHOLDS, make_result


def test_kinds_are_counted_where_they_are_and_where_they_are_not() -> None:
    results = [
        make_result(0, 0.9, subtype="SDH", overlap=Overlap(10, 10, 5)),
        make_result(1, 0.9, subtype="SDH", overlap=Overlap(10, 0, 0)),
        make_result(2, 0.9, subtype="SDH", overlap=Overlap(0, 10, 0)),
        make_result(3, 0.1),
        make_result(4, 0.9, overlap=Overlap(10, 10, 10), knows_subtypes=False),
    ]
    found = {each.kind: each for each in by_kind(results, seed=0)}
    subdural = found["SDH"]
    assert subdural.num_present == 2
    assert subdural.dice is not None
    assert subdural.dice.estimate == pytest.approx(0.25)
    assert subdural.pooled_dice is not None
    # 2 x 5 of 20 + 10 + 10 ml: what was claimed in vain counts
    assert subdural.pooled_dice.estimate == pytest.approx(10 / 40)
    assert (subdural.found.count, subdural.found.total) == (1, 2)
    assert (subdural.falsely_claimed.count, subdural.falsely_claimed.total) == (1, 2)
    assert found["ICH"].num_present == 3
    assert found["EDH"].dice is None
    assert found["EDH"].pooled_dice is None


def test_a_volume_at_a_limit_belongs_to_the_larger_ones() -> None:
    volumes_ml = (0.5, 1.0, 5.0, 29.9, 30.0, 80.0)
    results = [
        make_result(n, 0.9, overlap=Overlap(volume_ml, volume_ml, volume_ml))
        for n, volume_ml in enumerate(volumes_ml)
    ]
    groups = by_volume([*results, make_result(9, 0.1)], THRESHOLDS, seed=0)
    assert [(each.name, each.num_studies) for each in groups] == [
        ("under 1 ml", 1),
        ("1 to 5 ml", 1),
        ("5 to 30 ml", 2),
        ("30 ml and more", 2),
    ]


def test_a_thickness_at_a_limit_belongs_to_the_thinner_ones() -> None:
    thicknesses_mm = (0.6, 2.0000001, 2.5, 4.0, 4.5)
    results = [
        make_result(n, 0.1, thickness_mm=thickness_mm)
        for n, thickness_mm in enumerate(thicknesses_mm)
    ]
    groups = by_thickness(results, THRESHOLDS, seed=0)
    assert [(each.name, each.num_studies) for each in groups] == [
        ("up to 2 mm", 2),
        ("2 to 4 mm", 2),
        ("over 4 mm", 1),
    ]


def test_a_group_counts_who_is_missed_and_who_is_cleared() -> None:
    bleed = Overlap(10, 10, 10)
    results = [
        make_result(0, 0.9, overlap=bleed),
        make_result(1, 0.4, overlap=bleed),
        make_result(2, 0.1, overlap=bleed),
        make_result(3, 0.1),
        make_result(4, 0.5),
    ]
    thick = by_thickness(results, THRESHOLDS, seed=0)[2]
    assert (thick.not_missed.count, thick.not_missed.total) == (2, 3)
    assert (thick.cleared.count, thick.cleared.total) == (1, 2)
    assert by_thickness(results, THRESHOLDS, seed=0)[0].dice is None

"""Tables 1 to 5 from results that are known."""

from collections.abc import Sequence

import pytest

from ml.evaluation.cases import CaseResult
from ml.reproduction.markdown import Table, from_plain, p_value, to_markdown, to_plain
from ml.reproduction.scales import NETWORKS, cpu, paper
from ml.reproduction.tables import (
    Measured,
    table_1,
    table_2,
    table_3,
    table_4,
    table_5,
    threshold_of,
)

from .conftest import MakeResult


def networks(**tested: Sequence[CaseResult]) -> dict[str, Measured]:
    """Networks of the smallest scale that all found the same, but for those that are given."""
    scale, published = cpu(), paper()
    return {
        name: Measured(
            tested=tested.get(name.replace("-", "_"), tested["others"]),
            threshold=0.5,
            config=scale.recipe_for(name).network_config,
            published_config=published.recipe_for(name).network_config,
        )
        for name in NETWORKS
    }


def row_of(table: Table, *beginning: str) -> dict[str, str]:
    (row,) = [row for row in table.rows if row[: len(beginning)] == beginning]
    return dict(zip(table.columns, row, strict=True))


def test_dice_is_over_those_who_have_it(make_result: MakeResult) -> None:
    some = [
        make_result(0, truth_ml=10, both_ml=10),
        make_result(1, truth_ml=10, both_ml=5, said_ml=10),
        make_result(2, said_ml=3),
    ]
    here, printed = table_1(networks(others=some), 0)
    row = row_of(here, "U-Net")
    # (1 + 0.5) / 2, the healthy one left out
    assert row["ICH (n=2)"].startswith("0.750 [")
    assert row["SDH (n=2)"].startswith("0.750 [")
    assert row["EDH (n=0)"] == "–"
    assert here.facts["unet"]["dice"]["ICH"].estimate == pytest.approx(0.75)
    assert row_of(printed, "U-Net")["ICH"] == "0.624"
    assert row_of(printed, "Sym-TransNet")["paper, M"] == "43.06"
    assert row_of(here, "Sym-TransNet")["full width, M"] == "42.93"


def test_a_better_network_differs_in_pairs(make_result: MakeResult) -> None:
    worse = [make_result(n, truth_ml=10, both_ml=4, said_ml=10) for n in range(12)]
    better = [make_result(n, truth_ml=10, both_ml=5 + 0.1 * n, said_ml=10) for n in range(12)]
    (table,) = table_2(networks(others=worse, sym_transnet=better), 0)
    row = row_of(table, "ICH", "DA-Net")
    assert row["patients"] == "12"
    assert row["difference of Dice [95 % CI]"].startswith("0.155 [")
    assert row["rank-biserial r"] == "1.00"
    # 2 / 2 ** 12 for each of five equal tests
    held = [each for each in table.facts["ICH"] if each["method"] == "da-net"]
    assert held[0]["p_signed_rank"] == pytest.approx(2 / 2**12)
    assert held[0]["p_holm"] == pytest.approx(10 / 2**12)
    assert held[0]["p_rank_sum"] < 0.001
    assert {row[0] for row in table.rows} == {"ICH", "SDH"}


def test_the_ablation_is_tested_step_by_step(make_result: MakeResult) -> None:
    plain = [make_result(n, truth_ml=10, both_ml=4, said_ml=10) for n in range(8)]
    more = [make_result(n, truth_ml=10, both_ml=6, said_ml=10) for n in range(8)]
    dice, steps = table_3(networks(others=plain, unet_transformer=more, sym_transnet=more), 0)
    assert row_of(dice, "U-Net + transformer")["ICH"] == "0.600 [0.600, 0.600]"
    first = row_of(steps, "ICH", "U-Net → U-Net + transformer")
    assert first["difference of Dice [95 % CI]"] == "0.200 [0.200, 0.200]"
    second = row_of(steps, "ICH", "U-Net + transformer → Sym-TransNet")
    assert second["p signed-rank"] == second["p signed-rank, Holm"] == "1.000"


def test_false_negatives_are_those_who_bleed(make_result: MakeResult) -> None:
    some = [
        make_result(0, truth_ml=10, both_ml=10, score=0.9),
        make_result(1, truth_ml=10, both_ml=10, score=0.8),
        make_result(2, truth_ml=10, score=0.1),
        make_result(3, score=0.7, any_voxel=True),
        make_result(4, score=0.2, any_voxel=True),
        make_result(5, score=0.2, any_voxel=True),
        make_result(6, score=0.1),
    ]
    (matrices,) = table_4(networks(others=some), 0)
    assert matrices.rows[0][1:] == ("U-Net", "2", "1", "3", "1")
    assert matrices.rows[len(NETWORKS)][1:] == ("U-Net", "2", "1", "1", "3")
    shares, areas = table_5(networks(others=some), 0)
    any_voxel, by_score = shares.rows[0], shares.rows[len(NETWORKS)]
    assert [cell.split()[0] for cell in any_voxel[2:5]] == ["42.9", "66.7", "25.0"]
    assert [cell.split()[0] for cell in by_score[2:5]] == ["71.4", "66.7", "75.0"]
    assert any_voxel[5] == "88.25 / 98.0 / 78.5"
    assert by_score[5] == ""
    # 4 + 4 + 0.5 of 12 pairs in order
    assert areas.rows[0][1].startswith("0.708 [")


def test_networks_that_saw_other_patients_are_not_compared(make_result: MakeResult) -> None:
    some = [make_result(n, truth_ml=10, both_ml=4) for n in range(3)]
    with pytest.raises(ValueError, match="different patients"):
        table_2(networks(others=some, unet=some[::-1]), 0)


def test_the_threshold_tells_validation_patients_apart(make_result: MakeResult) -> None:
    healthy = [make_result(n, score=0.1 + n / 100) for n in range(5)]
    bleeding = [make_result(9, truth_ml=1, score=score) for score in (0.5, 0.7, 0.9)]
    assert threshold_of(healthy + bleeding) == pytest.approx((0.14 + 0.5) / 2)
    # one loud healthy head: better to alarm for it than to miss two
    loud = make_result(10, score=0.8)
    assert threshold_of([*healthy, loud, *bleeding]) == pytest.approx((0.14 + 0.5) / 2)
    assert threshold_of(healthy) == 0.5


def test_a_table_is_markdown_and_survives_json() -> None:
    table = Table("T", ("a", "b"), (("1|2", "x"),), ("Note.",), {"p": (0.5,)})
    assert to_markdown(table) == "### T\n\n| a | b |\n| --- | --- |\n| 1\\|2 | x |\n\nNote.\n"
    held = to_plain(table)
    assert from_plain(held).rows == table.rows
    assert held["facts"] == {"p": [0.5]}
    with pytest.raises(ValueError, match="does not have 2 cells"):
        Table("T", ("a", "b"), (("1",),))


def test_small_p_values_are_bounds() -> None:
    assert [p_value(each) for each in (None, 0.00001, 0.0123)] == ["–", "< 0.001", "0.012"]

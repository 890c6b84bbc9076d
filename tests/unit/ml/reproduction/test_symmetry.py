"""The experiment on symmetry: what is tried, what is compared, and the page that shows it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from config.errors import UsageError
from ml.evaluation.cases import CaseResult
from ml.phantom import Difficulty
from ml.reproduction import symmetry_page
from ml.reproduction.comparing import AUC, compare_all
from ml.reproduction.heads import GetHeads
from ml.reproduction.parts import Made, Workshop
from ml.reproduction.symmetry import (
    CONDITIONS,
    VARIANTS,
    Plan,
    default_plan,
    experiment,
    results_of,
)
from ml.training.recipes import Recipe

from .conftest import SOURCE, SPEC, MakeResult
from .test_reproduce import Told

CPU = torch.device("cpu")
HARD, FREE, EASY = CONDITIONS
FEW = replace(SOURCE, num_train=2, num_validation=1, num_test=3)


def tiny() -> Plan:
    return Plan(
        input=SPEC,
        phantoms=FEW,
        recipe=Recipe(
            name="",
            network="",
            network_config={},
            input=SPEC,
            phantoms=FEW,
            num_steps=1,
            batch_size=2,
            validate_every=1,
            num_watched=1,
            warmup_steps=1,
        ),
        network="sym-transnet-lite",
        config={"base_width": 2, "token_width": 4, "num_layers": 1, "num_heads": 2},
        seeds=(0, 1),
    )


def run(plan: Plan, get: GetHeads, out: Path, told: Told) -> Mapping[str, Made]:
    return Workshop(out, experiment(plan, get, device=CPU), tell=told).make()


def test_a_stopped_experiment_goes_on_and_fills_its_page(
    get_heads: GetHeads, tmp_path: Path
) -> None:
    stopped, told, out = Told(stop_before="run/hard-aligned/symmetric/1"), Told(), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(tiny(), get_heads, out, stopped)
    made = run(tiny(), get_heads, out, told)
    # seeds are outermost: the first one was complete
    assert len([name for name in stopped.begun if name.endswith("/0")]) == 9
    assert told.begun[0] == "run/hard-aligned/symmetric/1"
    assert not set(stopped.begun) & set(told.begun)
    assert set(stopped.begun) | set(told.begun) == set(made)

    page = tmp_path / "experiments.md"
    page.write_text(f"# Ours\n\n{symmetry_page.BEGIN}\nold\n{symmetry_page.END}\n\nIt helps not.\n")
    found = compare_all(results_of(tiny(), made), seed=0)
    symmetry_page.publish(page, tiny(), found, made)
    text = page.read_text()
    assert text.startswith("# Ours\n")
    assert text.endswith("\n\nIt helps not.\n")
    assert "\nold\n" not in text
    assert "hard, unaligned" in text
    assert "+ transformer → + symmetric" in text
    assert (tmp_path / "reproduction" / "symmetry.png").exists()
    assert (tmp_path / "reproduction" / "symmetry.json").exists()


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("ours")
    with pytest.raises(UsageError, match="lacks one of the marks"):
        symmetry_page.update_page(page, "theirs")
    assert page.read_text() == "ours"


def results(
    make: MakeResult, gains: Mapping[str, Mapping[str, tuple[float, ...]]]
) -> dict[str, dict[str, dict[int, list[CaseResult]]]]:
    """Four who bleed and two who do not; Dice of the first ones is a half and a gain by seed."""

    def patients(gain: float) -> list[CaseResult]:
        bleeding = [
            make(n, truth_ml=10, both_ml=5 + 10 * gain, said_ml=10, score=0.5 + gain)
            for n in range(4)
        ]
        return [*bleeding, make(4, score=0.55), make(5, score=0.1)]

    return {
        condition: {
            variant: {seed: patients(gain) for seed, gain in enumerate(by_seed)}
            for variant, by_seed in variants.items()
        }
        for condition, variants in gains.items()
    }


def test_effects_are_pairs_of_seeds(make_result: MakeResult) -> None:
    found = compare_all(
        results(
            make_result,
            {
                HARD: {"unet": (0, 0), "transformer": (0, 0), "symmetric": (0.1, 0.3)},
                EASY: {"unet": (0, 0), "transformer": (0, 0), "symmetric": (0.1, 0.1)},
            },
        ),
        seed=0,
    )
    hard = found.conditions[HARD]
    effect = hard.effects["transformer > symmetric"]["ICH"]
    assert effect.differences == pytest.approx((0.1, 0.3))
    assert hard.effects["unet > transformer"]["ICH"].over_seeds.estimate == 0
    assert hard.spreads["symmetric"]["ICH"].mean == pytest.approx(0.7)
    assert hard.num_patients == {"ICH": 4, "SDH": 4, AUC: 6}
    # a half against 0.55 and 0.1 before, above both after
    assert hard.effects["transformer > symmetric"][AUC].over_seeds.estimate == pytest.approx(0.5)
    (contrast,) = [
        each
        for each in found.contrasts
        if each.step == "transformer > symmetric" and each.measure == "ICH"
    ]
    assert (contrast.first, contrast.second) == (EASY, HARD)
    assert contrast.over_seeds.estimate == pytest.approx(0.1)


def test_seeds_that_a_variant_lacks_are_left_out(make_result: MakeResult) -> None:
    some = {"unet": (0, 0, 0), "transformer": (0, 0), "symmetric": (0.1, 0.1, 0.1)}
    found = compare_all(results(make_result, {HARD: some, EASY: dict.fromkeys(some, (0,))}), seed=0)
    assert found.conditions[HARD].seeds == (0, 1)
    assert EASY not in found.conditions
    with pytest.raises(UsageError, match="two seeds"):
        compare_all(results(make_result, {EASY: dict.fromkeys(some, (0,))}), seed=0)


def test_other_patients_are_not_compared(make_result: MakeResult) -> None:
    held = results(make_result, {HARD: {"unet": (0, 0), "symmetric": (0, 0)}})
    held[HARD]["unet"][1] = held[HARD]["unet"][1][::-1]
    with pytest.raises(ValueError, match="different patients"):
        compare_all(held, seed=0)


def test_the_default_plan_is_fair() -> None:
    plan = default_plan()
    recipes = {
        (name, variant, seed): plan.recipe_of(condition, variant, seed)
        for name, condition in CONDITIONS.items()
        for variant in VARIANTS
        for seed in plan.seeds
    }
    assert len(recipes) == 45
    for name in CONDITIONS:
        same = {
            replace(recipe, name="", network_config={}, seed=0).phantoms
            for key, recipe in recipes.items()
            if key[0] == name
        }
        assert len(same) == 1
    assert len({(r.num_steps, r.batch_size, r.learning_rate) for r in recipes.values()}) == 1
    assert recipes[HARD, "unet", 0].phantoms.difficulty is Difficulty.HARD
    assert not recipes[FREE, "unet", 0].phantoms.aligned
    assert recipes[EASY, "unet", 0].phantoms.difficulty is Difficulty.EASY
    configs = [recipes[HARD, variant, 0].network_config for variant in VARIANTS]
    assert configs[0]["num_layers"] == 0
    assert [config.get("mirroring") for config in configs] == [None, "none", "keys"]

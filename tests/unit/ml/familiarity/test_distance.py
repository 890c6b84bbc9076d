"""Heads like those of the training are familiar, others are not, and it is said why."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from ml.familiarity import (
    FARTHEST,
    FIGURES,
    LEAST_VOLUMES,
    Description,
    FamiliarityModel,
    fit,
)

TYPICAL = {name: 30.0 if figure.unit == "HU" else 5.0 for name, figure in FIGURES.items()}
NUM_VOLUMES = 150


def draw(count: int, seed: int) -> list[dict[str, float]]:
    """Describe heads that vary by 20 % in each figure; two quartiles go together."""
    rng = np.random.default_rng(seed)
    heads = []
    for _ in range(count):
        head = {name: value * math.exp(0.2 * rng.normal()) for name, value in TYPICAL.items()}
        head["brain_75_hu"] = head["brain_25_hu"] + 8 + 0.2 * rng.normal()
        heads.append(head)
    return heads


@pytest.fixture(scope="module")
def model() -> FamiliarityModel:
    return fit(draw(NUM_VOLUMES, 0))


def test_heads_like_those_of_the_training_are_familiar(model: FamiliarityModel) -> None:
    scores = [model.score(head) for head in draw(300, 1)]
    assert sum(score.is_familiar for score in scores) >= 0.97 * len(scores)
    nearer = np.mean([score.nearer_percent for score in scores])
    assert nearer == pytest.approx(50, abs=8)


def test_the_limit_is_measured_on_heads_that_were_held_out(model: FamiliarityModel) -> None:
    within = [model.score(head).distance for head in draw(NUM_VOLUMES, 0)]
    assert model.limit > 1.02 * np.quantile(within, 0.995)
    assert 1 <= fit(draw(NUM_VOLUMES, 0), quantile=0.5).limit < model.limit


def test_what_is_unusual_is_named_first_with_its_usual_range(model: FamiliarityModel) -> None:
    noisy = draw(1, 2)[0] | {"noise_hu": 300.0}
    score = model.score(noisy)
    assert not score.is_familiar
    assert score.nearer_percent == 100
    first = score.unusual[0]
    assert (first.name, first.value, first.is_out_of_range) == ("noise_hu", 300.0, True)
    assert 15 < first.lowest < 25
    assert 35 < first.highest < 60
    assert first.sentence == f"noise 300.0 HU, usual {first.lowest:.1f} to {first.highest:.1f}"
    assert [abs(each.deviations) for each in score.unusual] == sorted(
        (abs(each.deviations) for each in score.unusual), reverse=True
    )


def test_figures_that_go_together_are_unusual_when_they_part(model: FamiliarityModel) -> None:
    typical = dict(TYPICAL, brain_75_hu=38.0)
    together = model.score(typical | {"brain_25_hu": 42.0, "brain_75_hu": 50.0})
    apart = model.score(typical | {"brain_25_hu": 42.0, "brain_75_hu": 32.0})
    assert apart.distance > 1.5 * together.distance
    assert not any(each.is_out_of_range for each in apart.unusual)


def test_a_missing_figure_is_left_out(model: FamiliarityModel) -> None:
    head = draw(1, 3)[0]
    some = head | {"mirror_likeness": math.nan}
    del some["bone_hu"]
    assert model.score(some).is_familiar
    assert model.score(some).distance == pytest.approx(model.score(head).distance, abs=0.25)


def test_a_volume_of_which_nothing_is_known_is_not_familiar(model: FamiliarityModel) -> None:
    unknown: Description = {"slice_step_mm": 5.0}
    score = model.score(unknown)
    assert (score.distance, score.is_familiar, score.unusual) == (FARTHEST, False, ())


def test_missing_figures_in_the_training_do_no_harm() -> None:
    heads = draw(60, 4)
    for number, head in enumerate(heads):
        head["air_percent"] = math.nan
        if number % 3 == 0:
            head["bone_hu"] = math.nan
    model = fit(heads)
    assert "air_percent" not in model.names
    assert "bone_hu" in model.names
    assert all(map(math.isfinite, (*model.means, *model.lowest, *model.correlations)))
    assert model.score(draw(1, 5)[0]).is_familiar


def test_a_uniform_training_calls_no_scanner_strange() -> None:
    model = fit([dict(TYPICAL)] * 30)
    assert model.limit == 1
    assert model.score(TYPICAL | {"brain_50_hu": 31.0, "bone_hu": 50.0}).distance < 0.5
    assert model.score(TYPICAL | {"brain_50_hu": 60.0}).distance > 2


def test_a_figure_that_is_no_longer_measured_is_left_out(model: FamiliarityModel) -> None:
    older = replace(model, names=("some_old_figure", *model.names[1:]))
    assert older.score(draw(1, 6)[0]).is_familiar


def test_the_model_is_plain_numbers_that_come_back(model: FamiliarityModel) -> None:
    held = TypeAdapter(FamiliarityModel).validate_json(json.dumps(asdict(model)))
    assert held == model
    head = draw(1, 7)[0]
    assert held.score(head) == model.score(head)


def test_too_few_volumes_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {LEAST_VOLUMES}"):
        fit(draw(LEAST_VOLUMES - 1, 0))
    assert fit(draw(LEAST_VOLUMES, 0)).num_volumes == LEAST_VOLUMES


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"means": (1.0,)}, "one mean"),
        ({"correlations": (0.0,)}, "one correlation"),
        ({"limit": 0.0}, "positive"),
        ({"deviations": (0.0,) * len(FIGURES)}, "positive"),
    ],
)
def test_numbers_that_do_not_belong_together_are_refused(
    change: dict[str, float], complaint: str, model: FamiliarityModel
) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(model, **change)

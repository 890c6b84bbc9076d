"""Rates and number formats."""

from dataclasses import replace

import pytest
import torch

from config.errors import UsageError
from ml.inference import Precision
from ml.training.optimisation import choose_training_precision, learning_rate
from ml.training.recipes import Recipe

CPU = torch.device("cpu")


@pytest.mark.parametrize(("decay", "halfway"), [("exponential", 0.1), ("cosine", 0.505)])
def test_the_rate_rises_then_falls_to_its_last_value(
    recipe: Recipe, decay: str, halfway: float
) -> None:
    longer = replace(
        recipe,
        num_steps=1000,
        warmup_steps=10,
        learning_rate=1.0,
        final_rate=0.01,
        decay=decay,
    )
    rates = [learning_rate(longer, step) for step in range(1000)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[500] == pytest.approx(halfway)
    assert rates[-1] == pytest.approx(0.01, rel=0.01)


def test_a_cpu_does_not_train_in_float16() -> None:
    with pytest.raises(UsageError, match="float16"):
        choose_training_precision(Precision.FP16, CPU)


def test_automatic_precision_is_one_that_the_cpu_has() -> None:
    chosen = choose_training_precision(Precision.AUTO, CPU)
    assert chosen is (
        Precision.BF16
        if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        else Precision.FP32
    )

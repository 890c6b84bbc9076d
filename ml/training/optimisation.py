"""How weights are moved: learning rate, Adam, number format, and the arithmetic of attention."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ml.inference import Precision, choose_precision
from ml.training.recipes import Recipe

_LARGEST_FOR_PLAIN_ATTENTION = 256
"""Rows of an image up to which the whole matrix of attention is kept for the gradient."""


def learning_rate(recipe: Recipe, step: int) -> float:
    """Rate of a step: a linear rise, then a decay, exponential (the paper's) or as a cosine."""
    done = step / recipe.num_steps
    if recipe.decay == "cosine":
        share = (1 + math.cos(math.pi * done)) / 2
        rate = recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * share
    else:
        rate = recipe.learning_rate * (recipe.final_rate / recipe.learning_rate) ** done
    return rate * min(1.0, (step + 1) / recipe.warmup_steps)


def make_adam(model: nn.Module, recipe: Recipe) -> torch.optim.Adam:
    """Make the paper's optimiser; all parameters are moved in one call."""
    return torch.optim.Adam(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )


def choose_training_precision(setting: Precision, device: torch.device) -> Precision:
    """Turn the setting into a number format for training.

    Parameters
    ----------
    setting
        `Precision.AUTO` takes bfloat16 where the hardware has any instructions for it: unlike
        inference, training gains from those of AVX-512 too (measured on lite: a third).

    Raises
    ------
    UsageError
        If the device does not compute in this format.
    """
    if setting is Precision.AUTO and device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return Precision.BF16
    return choose_precision(setting, str(device))


@contextmanager
def computing(precision: Precision, device: torch.device) -> Iterator[None]:
    """Let convolutions and products run in a number format; losses stay in float32."""
    dtype = torch.float16 if precision is Precision.FP16 else torch.bfloat16
    with torch.autocast(device.type, dtype, enabled=precision is not Precision.FP32):
        yield


@contextmanager
def suitable_attention(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Let attention over few tokens be computed as plain products on a CPU.

    torch's fused kernel takes three times as long for the gradient in bfloat16 there (measured:
    11 against 4 ms for a layer of lite); with many tokens the matrix would not fit in memory.
    """
    few = device.type == "cpu" and recipe.input.size <= _LARGEST_FOR_PLAIN_ATTENTION
    with sdpa_kernel(SDPBackend.MATH) if few else nullcontext():
        yield

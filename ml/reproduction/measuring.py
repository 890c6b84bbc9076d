"""One training and its measurement, the same for the reproduction and the experiment."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from ml.evaluation.cases import CaseResult, assess, from_plain, to_plain
from ml.inference import Prediction, Segmenter
from ml.models import registry
from ml.reproduction.code import code_digest, modules_behind
from ml.reproduction.heads import Heads
from ml.reproduction.parts import WORK, Json, write_json
from ml.training.datasets import Case
from ml.training.recipes import Recipe
from ml.training.train import fit
from ml.volume import Subtype

_DECIDES_NO_WEIGHTS = {
    f"ml.training.{name}"
    for name in ("datasets", "distributed", "logbook", "pictures", "recipes", "record")
}
"""Patients and recipes are settings and have digests of their own; the others only watch."""
CODE_OF_MEASURING = (
    "inference.py",
    "scoring.py",
    "postprocess.py",
    "preprocess.py",
    "plane.py",
    "evaluation/cases.py",
)
"""What decides the figures of a patient."""

EVERYTHING: Mapping[Subtype, float] = dict.fromkeys(Subtype, 0.0)
"""Least volumes by which no lesion is left out."""


def code_of_training(network: str, config: registry.Choices) -> str:
    """Digest of the code that decides weights: of the training, and of this network alone."""
    module = _module_of(network, tuple(config.items()))
    behind = (
        *modules_behind(module, within="ml.models"),
        *modules_behind("ml.training.train", within="ml.training", without=_DECIDES_NO_WEIGHTS),
        "preprocess.py",
    )
    return code_digest(behind)


@cache
def _module_of(name: str, config: tuple[tuple[str, str | int | float | bool], ...]) -> str:
    # on the meta device nothing is drawn and no memory is taken
    with torch.device("meta"):
        return type(registry.build(name, dict(config))).__module__


def train_into(folder: Path, recipe: Recipe, heads: Heads, device: torch.device) -> nn.Module:
    """Train, or go on with a training that was killed; the weights lie in the folder at the end."""
    model = fit(recipe, heads.splits, folder / WORK, device=device)
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    (folder / "weights.safetensors").write_bytes(safetensors.torch.save(weights))
    return model


def read_model(folder: Path, recipe: Recipe) -> nn.Module:
    """Build a network with the weights that `train_into` left."""
    model = registry.build(recipe.network, recipe.network_config)
    weights = safetensors.torch.load((folder / "weights.safetensors").read_bytes())
    model.load_state_dict(weights)
    return model


def measure(
    segmenter: Segmenter,
    cases: Sequence[Case],
    heads: Heads,
    *,
    minimum_ml: Mapping[Subtype, float] = EVERYTHING,
    look: Callable[[Case, Prediction], None] = lambda _case, _prediction: None,
    clock: Callable[[], float] = time.monotonic,
) -> list[CaseResult]:
    """Segment patients and compare with their truth, on the grid of the source.

    Parameters
    ----------
    segmenter
        Of a network trained on these heads' specification.
    cases
        Of the validation or test split.
    heads
        Where the truths are.
    minimum_ml
        Least volume of a lesion that is counted, ml.
    look
        Sees each prediction, which is not kept.
    clock
        Seconds of a clock that only goes forward.
    """
    results = []
    for case in cases:
        aligned = case.aligned
        begun = clock()
        prediction = segmenter.segment_aligned(aligned)
        seconds = clock() - begun
        look(case, prediction)
        results.append(
            assess(
                prediction,
                heads.truths[case.seed],
                study_id=f"phantom-{case.seed}",
                patient_id=f"phantom-{case.seed}",
                minimum_ml=minimum_ml,
                seconds=seconds,
            )
        )
    return results


def write_results(path: Path, results: Sequence[CaseResult]) -> None:
    """Keep results as JSON."""
    write_json(path, [to_plain(result) for result in results])


def read_results(held: Json) -> list[CaseResult]:
    """Read what `write_results` kept."""
    return [from_plain(each) for each in held]

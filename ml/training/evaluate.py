"""How good a network is: patient-level Dice, and the decision on the case.

Dice is taken per patient over the whole volume; a class that is absent from a patient's truth is
left out for that patient and not counted as 0 or 1 (the paper does not say what it does). All
figures are from synthetic patients.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ml.cavity import cranial_cavity, disbelieve_outside
from ml.checkpoint import Thresholds
from ml.postprocess import clean
from ml.preprocess import network_input
from ml.scoring import case_score
from ml.training.datasets import Case
from ml.volume import Mask, Subtype

# Axes: N slices, C class, S row and column of the aligned image

_SLICES_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a network said of one patient, on the aligned grid.

    Attributes
    ----------
    truth
        The true label map.
    said
        The most probable class of each voxel; nothing is left out yet.
    score
        `case_score`.
    """

    truth: Mask
    said: Mask
    score: float

    @property
    def has_bleed(self) -> bool:
        """Whether the patient bleeds in truth."""
        return bool(self.truth.labels.any())


@torch.inference_mode()
def assess(
    model: nn.Module, case: Case, device: torch.device, *, temperature: float = 1.0
) -> Outcome:
    """Segment a patient on the aligned grid.

    Parameters
    ----------
    model
        In evaluation mode, on `device`.
    temperature
        What logits are divided by before the softmax.
    """
    aligned, grid = case.aligned, case.aligned_grid
    cavity = cranial_cavity(aligned)
    said = np.empty_like(case.labels)
    suspicion: list[tuple[NDArray[np.float32], float]] = []
    num_batches = -(-len(said) // _SLICES_AT_ONCE)
    for slices in np.array_split(np.arange(len(said)), num_batches):
        image_NCSS = torch.from_numpy(network_input(aligned, slices)).to(device)
        image_NCSS = image_NCSS.to(memory_format=torch.channels_last)
        probability_NCSS = (model(image_NCSS).float() / temperature).softmax(dim=1).cpu().numpy()
        for number, index in enumerate(slices):
            disbelieve_outside(probability_NCSS[number], cavity[index])
        said[slices] = probability_NCSS.argmax(axis=1)
        suspicion += [
            (1 - probability_NCSS[number, 0], float(grid.voxel_ml[index]))
            for number, index in enumerate(slices)
        ]
    return Outcome(Mask(case.labels, grid), Mask(said, grid), case_score(suspicion))


@torch.inference_mode()
def patient_dice(model: nn.Module, case: Case, device: torch.device) -> NDArray[np.float64]:
    """Dice of a patient on the aligned grid: any subtype first, then each; for use in training.

    Parameters
    ----------
    model
        In evaluation mode, on `device`.

    Returns
    -------
    NDArray
        Shape (1 + number of subtypes,); not a number where the truth has none of it.
    """
    aligned = case.aligned
    said = np.empty_like(case.labels)
    num_batches = -(-len(said) // _SLICES_AT_ONCE)
    for slices in np.array_split(np.arange(len(said)), num_batches):
        image_NCSS = torch.from_numpy(network_input(aligned, slices)).to(device)
        logits_NCSS = model(image_NCSS.to(memory_format=torch.channels_last))
        said[slices] = logits_NCSS.argmax(dim=1).cpu().numpy()
    voxel_ml = case.aligned_grid.voxel_ml
    ratios = [_dice(case.labels, said, voxel_ml, subtype) for subtype in (None, *Subtype)]
    return np.array([math.nan if ratio is None else ratio for ratio in ratios])


def dice(truth: Mask, said: Mask, subtype: Subtype | None) -> float | None:
    """Dice of a patient, by volume.

    Parameters
    ----------
    subtype
        None for haemorrhage of any subtype.

    Returns
    -------
    float or None
        2 |P and G| / (|P| + |G|); None if the truth has none of it. The paper's equation 7 has the
        union below, which would be another figure.
    """
    return _dice(truth.labels, said.labels, truth.grid.voxel_ml, subtype)


def _dice(
    truth: NDArray[np.uint8],
    said: NDArray[np.uint8],
    voxel_ml: NDArray[np.float64],
    subtype: Subtype | None,
) -> float | None:
    true = truth > 0 if subtype is None else truth == subtype
    claimed = said > 0 if subtype is None else said == subtype
    if not true.any():
        return None
    both_ml = (true & claimed).sum(axis=(1, 2)) @ voxel_ml
    either_ml = (true.sum(axis=(1, 2)) + claimed.sum(axis=(1, 2))) @ voxel_ml
    return float(2 * both_ml / either_ml)


def mean_dice(pairs: Sequence[tuple[Mask, Mask]], subtype: Subtype | None) -> tuple[float, int]:
    """Mean Dice over the patients who have a subtype in truth, and their number."""
    ratios = [dice(truth, said, subtype) for truth, said in pairs]
    present = [ratio for ratio in ratios if ratio is not None]
    return (float(np.mean(present)) if present else math.nan), len(present)


def measure(
    outcomes: Sequence[Outcome], thresholds: Thresholds, *, prefix: str
) -> Mapping[str, float]:
    """Figures of a split by name, ``prefix/figure``, after small lesions were dropped.

    Returns
    -------
    Mapping
        Dice and number of patients for any subtype (ICH) and each; of the patients with a bleed
        those called positive (sensitivity) and negative (missed); of those without one those
        called negative (specificity) and positive (false_alarms), the rest being borderline; the
        area under the ROC curve of the score; and for each subtype how often it is reported among
        patients with it (found) and without it (false). As in the node, a positive needs a score
        and a lesion that is large enough. A figure over no patient is left out.
    """
    minimum_ml = {subtype: thresholds.minimum_of(subtype) for subtype in Subtype}
    pairs = [(each.truth, clean(each.said, minimum_ml=minimum_ml)) for each in outcomes]
    figures: dict[str, float] = {"patients": len(outcomes)}
    for subtype in (None, *Subtype):
        name = "ICH" if subtype is None else subtype.name
        figures[f"dice_{name}"], figures[f"patients_{name}"] = mean_dice(pairs, subtype)
    scores = np.array([each.score for each in outcomes])
    bleeds = np.array([each.has_bleed for each in outcomes], bool)
    large_enough = np.array([bool(said.labels.any()) for _, said in pairs], bool)
    positive = (scores >= thresholds.upper_score) & large_enough
    negative = scores < thresholds.lower_score
    figures["sensitivity"], figures["missed"] = _share(positive[bleeds]), _share(negative[bleeds])
    figures["specificity"] = _share(negative[~bleeds])
    figures["false_alarms"] = _share(positive[~bleeds])
    above = scores[bleeds][:, None] > scores[~bleeds]
    level = scores[bleeds][:, None] == scores[~bleeds]
    figures["auc"] = _share(above) + _share(level) / 2
    for subtype in Subtype:
        reported = np.array([(said.labels == subtype).any() for _, said in pairs], bool)
        present = np.array([(truth.labels == subtype).any() for truth, _ in pairs], bool)
        figures[f"found_{subtype.name}"] = _share(reported[present])
        figures[f"false_{subtype.name}"] = _share(reported[~present])
    return {
        f"{prefix}/{name}": round(value, 4)
        for name, value in figures.items()
        if not math.isnan(value)
    }


def _share(chosen: NDArray[np.bool_]) -> float:
    """Share of True; not a number where there is nothing to share."""
    return float(np.mean(chosen)) if chosen.size else math.nan

"""How good a network is: patient-level Dice, and the decision on the case.

Dice is taken per patient over the whole volume; a class that is absent from a patient's truth is
left out for that patient and not counted as 0 or 1 (the paper does not say what it does). All
figures are from synthetic patients.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ml.checkpoint import Thresholds
from ml.preprocess import network_input
from ml.scoring import case_score
from ml.training.datasets import Case
from ml.volume import NUM_CLASSES, Subtype

# Axes: N slices, C class, S row and column of the aligned image

_SLICES_AT_ONCE = 8
_HEALTHY_BELOW_LOWER = 0.95
_HEALTHY_BELOW_UPPER = 0.99
_FALSE_SUBTYPES = 0.03
"""Share of patients without a subtype in whom it may be reported all the same."""
_LEAST_ML, _MOST_ML = 0.1, 2.0
"""Between these the minimum volume of a subtype is chosen."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a network said of one patient.

    Attributes
    ----------
    true_ml, predicted_ml, overlap_ml
        Shape (1 + number of subtypes,), ml: haemorrhage of any subtype, then each subtype.
    score
        `case_score`.
    """

    true_ml: NDArray[np.float64]
    predicted_ml: NDArray[np.float64]
    overlap_ml: NDArray[np.float64]
    score: float

    @property
    def has_bleed(self) -> bool:
        """Whether the patient bleeds in truth."""
        return bool(self.true_ml[0] > 0)


@torch.inference_mode()
def assess(model: nn.Module, case: Case, device: torch.device) -> Outcome:
    """Segment a patient on the aligned grid and compare with the truth.

    Parameters
    ----------
    model
        In evaluation mode, on `device`.
    """
    aligned, voxel_ml = case.aligned, case.voxel_ml
    true_ml, predicted_ml, overlap_ml = np.zeros((3, NUM_CLASSES))
    suspicion: list[tuple[NDArray[np.float32], float]] = []
    for slices in np.array_split(np.arange(len(case.hu)), -(-len(case.hu) // _SLICES_AT_ONCE)):
        image_NCSS = torch.from_numpy(network_input(aligned, slices)).to(device)
        probability_NCSS = model(image_NCSS).float().softmax(dim=1).cpu().numpy()
        for index, probability_CSS in zip(slices, probability_NCSS, strict=True):
            truth, said = case.labels[index], probability_CSS.argmax(axis=0)
            true_ml += _counts(truth) * voxel_ml[index]
            predicted_ml += _counts(said) * voxel_ml[index]
            overlap_ml[0] += ((truth > 0) & (said > 0)).sum() * voxel_ml[index]
            overlap_ml[1:] += _counts(truth[truth == said])[1:] * voxel_ml[index]
            suspicion.append((1 - probability_CSS[0], float(voxel_ml[index])))
    return Outcome(true_ml, predicted_ml, overlap_ml, case_score(suspicion))


def _counts(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Pixels of any subtype, then of each one."""
    counts = np.bincount(labels.ravel(), minlength=NUM_CLASSES).astype(np.float64)
    counts[0] = counts[1:].sum()
    return counts


def mean_dice(outcomes: Iterable[Outcome], label: int) -> tuple[float, int]:
    """Mean Dice over the patients who have a class in truth, and their number.

    Parameters
    ----------
    label
        The value of a `Subtype`, or 0 for haemorrhage of any subtype.
    """
    ratios = [
        2 * each.overlap_ml[label] / (each.true_ml[label] + each.predicted_ml[label])
        for each in outcomes
        if each.true_ml[label] > 0
    ]
    return (float(np.mean(ratios)) if ratios else float("nan")), len(ratios)


def choose_thresholds(outcomes: Sequence[Outcome]) -> Thresholds:
    """Choose thresholds on validation patients.

    The lower score is the one below which 95 % of the patients without a bleed lie, the upper one
    that of 99 %. Where patients with and without a bleed are well apart, both move halfway to the
    score that 95 % of the patients with a bleed reach. A subtype's minimum volume is the one that
    3 % of the patients without it exceed, within 0.1 to 2 ml.
    """
    healthy = np.array([each.score for each in outcomes if not each.has_bleed])
    bleeding = np.array([each.score for each in outcomes if each.has_bleed])
    lower = float(np.quantile(healthy, _HEALTHY_BELOW_LOWER)) if healthy.size else 0.0
    upper = float(np.quantile(healthy, _HEALTHY_BELOW_UPPER)) if healthy.size else 0.0
    if bleeding.size:
        reached = float(np.quantile(bleeding, 1 - _HEALTHY_BELOW_LOWER))
        lower, upper = max(lower, (lower + reached) / 2), max(upper, (upper + reached) / 2)
    minimum_ml = {subtype.name: _minimum_ml(outcomes, subtype) for subtype in Subtype}
    return Thresholds(round(lower, 4), round(max(lower, upper), 4), minimum_ml)


def _minimum_ml(outcomes: Sequence[Outcome], subtype: Subtype) -> float:
    without = [float(each.predicted_ml[subtype]) for each in outcomes if not each.true_ml[subtype]]
    exceeded = float(np.quantile(without, 1 - _FALSE_SUBTYPES)) if without else 0.0
    return round(min(max(exceeded, _LEAST_ML), _MOST_ML), 2)


def measure(
    outcomes: Sequence[Outcome], thresholds: Thresholds, *, prefix: str
) -> Mapping[str, float]:
    """Figures of a split by name, ``prefix/figure``.

    Returns
    -------
    Mapping
        Dice and number of patients for any subtype (ICH) and each; of the patients with a bleed
        those called positive (sensitivity) and negative (missed); of those without one those
        called negative (specificity) and positive (false alarms), the rest being borderline; the
        area under the ROC curve of the score; and per subtype how often it is reported, among
        patients with and without it.
    """
    figures: dict[str, float] = {"patients": len(outcomes)}
    for label, name in enumerate(["ICH", *(subtype.name for subtype in Subtype)]):
        figures[f"dice_{name}"], figures[f"patients_{name}"] = mean_dice(outcomes, label)
    bleeding = np.array([each.score for each in outcomes if each.has_bleed])
    healthy = np.array([each.score for each in outcomes if not each.has_bleed])
    figures["sensitivity"] = _share(bleeding >= thresholds.upper_score)
    figures["missed"] = _share(bleeding < thresholds.lower_score)
    figures["specificity"] = _share(healthy < thresholds.lower_score)
    figures["false_alarms"] = _share(healthy >= thresholds.upper_score)
    above = bleeding[:, None] > healthy
    level = bleeding[:, None] == healthy
    figures["auc"] = _share(above) + _share(level) / 2
    for subtype in Subtype:
        enough = [each.predicted_ml[subtype] >= thresholds.minimum_of(subtype) for each in outcomes]
        present = np.array([each.true_ml[subtype] > 0 for each in outcomes])
        figures[f"found_{subtype.name}"] = _share(np.array(enough)[present])
        figures[f"false_{subtype.name}"] = _share(np.array(enough)[~present])
    return {f"{prefix}/{name}": round(value, 4) for name, value in figures.items()}


def _share(chosen: NDArray[np.bool_]) -> float:
    """Share of True; not a number where there is nothing to share."""
    return float(np.mean(chosen)) if chosen.size else float("nan")

"""What the paper says: its figures, and where it contradicts itself.

Nijiati et al. 2022, *A symmetric prior knowledge based deep learning model for intracerebral
hemorrhage lesion segmentation*, Front. Physiol. 13:977427.
"""

from collections.abc import Mapping
from dataclasses import dataclass

CITATION = (
    "Nijiati et al. 2022, A symmetric prior knowledge based deep learning model for intracerebral "
    "hemorrhage lesion segmentation, Front. Physiol. 13:977427"
)


@dataclass(frozen=True)
class Published:
    """What the paper reports of one network.

    Attributes
    ----------
    parameters_million
        Of the network; None where the paper gives none.
    dice
        By kind, ``ICH`` first; empty where it gives none.
    """

    parameters_million: float | None
    dice: Mapping[str, float]


def _row(parameters_million: float, *dice: float) -> Published:
    kinds = ("ICH", "IPH", "IVH", "EDH", "SDH", "SAH")
    return Published(parameters_million, dict(zip(kinds, dice, strict=True)))


PUBLISHED: Mapping[str, Published] = {
    "unet": _row(2.47, 0.624, 0.688, 0.518, 0.222, 0.321, 0.245),
    "du-unet": _row(4.83, 0.611, 0.674, 0.496, 0.119, 0.256, 0.226),
    "se-unet": _row(2.47, 0.629, 0.691, 0.538, 0.253, 0.381, 0.256),
    "da-net": _row(26.97, 0.669, 0.739, 0.605, 0.244, 0.434, 0.269),
    "hr-net": _row(17.12, 0.686, 0.758, 0.654, 0.205, 0.531, 0.317),
    "unet-transformer": Published(None, {"ICH": 0.691}),
    "sym-transnet": _row(43.06, 0.716, 0.784, 0.680, 0.359, 0.534, 0.337),
}
"""By the registry's name of a network."""


@dataclass(frozen=True)
class PublishedDiagnosis:
    """Diagnosis of 200 patients with and 200 without a bleed, per cent."""

    accuracy: float
    sensitivity: float
    specificity: float


PUBLISHED_DIAGNOSIS: Mapping[str, PublishedDiagnosis] = {
    "unet": PublishedDiagnosis(88.25, 98.0, 78.5),
    "sym-transnet": PublishedDiagnosis(91.25, 98.5, 84.0),
}


@dataclass(frozen=True)
class Contradiction:
    """Something in the paper that cannot stand as printed, and what is done here."""

    printed: str
    here: str


CONTRADICTIONS: tuple[Contradiction, ...] = (
    Contradiction(
        "Equation 7 divides by the union of prediction and truth, |P u G|.",
        "Dice as it is defined: 2 |P n G| / (|P| + |G|).",
    ),
    Contradiction(
        "Table 4 exchanges false positives and false negatives.",
        "Rows are the truth, columns the call: a false negative bleeds and was not called.",
    ),
    Contradiction(
        'Gains of "0.26" and "0.2" in the text are 0.026 and 0.020 by its own tables.',
        "Differences are computed from the table, each with its interval.",
    ),
    Contradiction(
        'SDH "+-0.455" is a bound of the interval; every other "+-" is half its width.',
        "Both bounds of each interval are written.",
    ),
    Contradiction(
        "HR-Net's Dice of SAH, 0.317, does not lie in the middle of its interval.",
        "Percentile intervals of the bootstrap, which need not be symmetric; the estimate is the "
        "mean of all patients.",
    ),
    Contradiction(
        'The "most obvious improvement" is said to be that of IPH; by the table it is that of EDH.',
        "The table speaks for itself.",
    ),
    Contradiction(
        "A rank-sum test for independent groups on the same patients, without correction for the "
        "number of tests.",
        "The same test, and beside it the signed-rank test on pairs with Holm's correction.",
    ),
    Contradiction(
        "Healthy heads come from another population than those with a bleed (spectrum bias).",
        "Heads with and without a bleed are drawn from one distribution, in every split.",
    ),
    Contradiction(
        "Not said: Dice per slice or per patient, and what a class that is absent counts.",
        "Per patient over the whole volume; a patient without a class is left out of its mean, and "
        "the number of those who are in it is written.",
    ),
    Contradiction(
        '"Any lesion voxel" makes a diagnosis, without a threshold.',
        "That rule, and beside it a threshold on the case score, chosen on validation alone.",
    ),
)

ASSUMED: tuple[str, ...] = (
    (
        "Which table holds what is taken from our notes on the paper, not from its print: Table 1 "
        "Dice of the compared networks, Table 2 tests of Sym-TransNet against each of them, Table "
        "3 the ablation with its tests, Table 4 the confusion matrices, Table 5 accuracy, "
        "sensitivity and specificity; Figure 6 overlays of the compared networks, Figure 7 "
        "overlays of the ablation."
    ),
    "The paper's 95 % intervals are not in our notes; its columns show its estimates alone.",
)
"""What had to be assumed of the paper."""

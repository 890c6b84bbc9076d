"""Results by what makes a case easy or hard: subtype, volume, thickness of slices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.checkpoint import Thresholds
from ml.evaluation.cases import ANY, KINDS, CaseResult, Decision, Overlap, decide
from ml.evaluation.statistics import (
    Interval,
    Proportion,
    bootstrap,
    mean_interval,
    proportion,
    ratio,
)

VOLUMES_ML = (1.0, 5.0, 30.0)
VOLUME_NAMES = ("under 1 ml", "1 to 5 ml", "5 to 30 ml", "30 ml and more")
THICKNESSES_MM = (2.0, 4.0)
THICKNESS_NAMES = ("up to 2 mm", "2 to 4 mm", "over 4 mm")


@dataclass(frozen=True)
class SubtypeFigures:
    """How well one kind of haemorrhage is outlined.

    Attributes
    ----------
    kind
        Name of `ml.evaluation.cases.KINDS`.
    num_present
        Studies that have it in truth.
    dice
        Mean over those, with its bootstrap interval over patients; None without any.
    pooled_dice
        Of all their voxels taken together: large lesions weigh more. Voxels that are claimed in
        studies without it count against it.
    found
        Of the studies that have it, those in which it is reported.
    falsely_claimed
        Of those that do not, those in which it is reported all the same.
    """

    kind: str
    num_present: int
    dice: Interval | None
    pooled_dice: Interval | None
    found: Proportion
    falsely_claimed: Proportion


@dataclass(frozen=True)
class Stratum:
    """Studies that have something in common.

    Attributes
    ----------
    name
        What they have in common.
    num_studies, num_with_bleed
        How many there are, and how many of them bleed.
    dice
        Mean Dice for haemorrhage of any subtype over those that bleed, with its interval.
    not_missed
        Of those that bleed, those that are not called NEGATIVE.
    cleared
        Of the others, those that are called NEGATIVE.
    """

    name: str
    num_studies: int
    num_with_bleed: int
    dice: Interval | None
    not_missed: Proportion
    cleared: Proportion


def by_kind(results: Sequence[CaseResult], *, seed: int) -> tuple[SubtypeFigures, ...]:
    """Measure each kind of haemorrhage over the studies whose truth knows it."""
    found = []
    for kind in KINDS:
        known = [each for each in results if kind in each.of]
        overlaps, patients = [each.of[kind] for each in known], [each.patient_id for each in known]
        found.append(
            SubtypeFigures(
                kind=kind,
                num_present=sum(each.present for each in overlaps),
                dice=mean_interval([each.dice for each in overlaps], patients, seed=seed),
                pooled_dice=_pooled(overlaps, patients, seed),
                found=proportion([each.claimed for each in overlaps if each.present]),
                falsely_claimed=proportion([each.claimed for each in overlaps if not each.present]),
            )
        )
    return tuple(found)


def _pooled(overlaps: Sequence[Overlap], patients: Sequence[str], seed: int) -> Interval | None:
    if not any(each.present for each in overlaps):
        return None
    twice_ml = [2 * each.both_ml for each in overlaps]
    either_ml = [each.truth_ml + each.said_ml for each in overlaps]
    return bootstrap(ratio(twice_ml, either_ml), patients, seed=seed)


def by_volume(
    results: Sequence[CaseResult], thresholds: Thresholds, *, seed: int
) -> tuple[Stratum, ...]:
    """Group the studies that bleed by the true volume of all their blood."""
    bleeding = [each for each in results if each.has_bleed]
    volumes_ml = [each.of[ANY].truth_ml for each in bleeding]
    # a volume at a limit belongs to the larger ones
    groups = np.searchsorted(VOLUMES_ML, volumes_ml, side="right")
    return _strata(VOLUME_NAMES, bleeding, groups, thresholds, seed)


def by_thickness(
    results: Sequence[CaseResult], thresholds: Thresholds, *, seed: int
) -> tuple[Stratum, ...]:
    """Group the studies by the distance between their slices."""
    # rounded, so that 2 mm computed from positions are 2 mm; they belong to the thinner ones
    thicknesses_mm = [round(each.slice_thickness_mm, 3) for each in results]
    groups = np.searchsorted(THICKNESSES_MM, thicknesses_mm, side="left")
    return _strata(THICKNESS_NAMES, results, groups, thresholds, seed)


def _strata(
    names: Sequence[str],
    results: Sequence[CaseResult],
    groups: NDArray[np.intp],
    thresholds: Thresholds,
    seed: int,
) -> tuple[Stratum, ...]:
    return tuple(
        stratum(
            name,
            [each for each, group in zip(results, groups, strict=True) if group == number],
            thresholds,
            seed=seed,
        )
        for number, name in enumerate(names)
    )


def stratum(
    name: str, results: Sequence[CaseResult], thresholds: Thresholds, *, seed: int
) -> Stratum:
    """Measure the studies of one group."""
    missed = [decide(each, thresholds) is Decision.NEGATIVE for each in results]
    pairs = list(zip(results, missed, strict=True))
    return Stratum(
        name=name,
        num_studies=len(results),
        num_with_bleed=sum(each.has_bleed for each in results),
        dice=mean_interval(
            [each.of[ANY].dice for each in results],
            [each.patient_id for each in results],
            seed=seed,
        ),
        not_missed=proportion([not negative for each, negative in pairs if each.has_bleed]),
        cleared=proportion([negative for each, negative in pairs if not each.has_bleed]),
    )

"""All figures of an evaluation, from the results of its cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.checkpoint import Thresholds
from ml.evaluation.agreement import Agreement, agreements
from ml.evaluation.calibration import Reliability, reliability
from ml.evaluation.cases import CaseResult, Decision, decide
from ml.evaluation.curves import Curves, OperatingPoint, curves, operating_point
from ml.evaluation.statistics import Proportion, floats, proportion
from ml.evaluation.strata import (
    Stratum,
    SubtypeFigures,
    by_kind,
    by_thickness,
    by_volume,
)


@dataclass(frozen=True)
class Diagnosis:
    """How often cases are decided right, by one rule.

    Attributes
    ----------
    rule
        What counts as right, in words.
    accuracy, sensitivity, specificity
        Of all cases, of those that bleed, and of the others, those that are decided right.
    """

    rule: str
    accuracy: Proportion
    sensitivity: Proportion
    specificity: Proportion


@dataclass(frozen=True)
class Summary:
    """Every figure of an evaluation.

    Attributes
    ----------
    num_studies, num_patients, num_with_bleed
        What it is computed from.
    num_unfamiliar
        Studies that look unlike the training; the node calls them PARTIAL, whatever the score.
    diagnosis
        By each rule, that of the node first.
    decisions
        How many cases with a bleed, and how many without, each decision has.
    kinds
        By kind of haemorrhage.
    curves
        Of the score; None unless there are cases of both kinds.
    operating_points
        What the two thresholds of the model mean for its score alone.
    score_reliability, voxel_reliability
        Calibration of the score as the probability of a bleed, and of sampled voxels.
    agreements
        Of volumes.
    by_volume, by_thickness
        By what makes a case hard.
    median_seconds
        From a volume to its prediction.
    """

    num_studies: int
    num_patients: int
    num_with_bleed: int
    num_unfamiliar: int
    diagnosis: tuple[Diagnosis, ...]
    decisions: dict[str, tuple[int, int]]
    kinds: tuple[SubtypeFigures, ...]
    curves: Curves | None
    operating_points: tuple[OperatingPoint, ...]
    score_reliability: Reliability
    voxel_reliability: Reliability | None
    agreements: tuple[Agreement, ...]
    by_volume: tuple[Stratum, ...]
    by_thickness: tuple[Stratum, ...]
    median_seconds: float


def summarise(
    results: Sequence[CaseResult],
    thresholds: Thresholds,
    *,
    seed: int,
    voxels: Reliability | None = None,
) -> Summary:
    """Compute every figure.

    Parameters
    ----------
    results
        Of at least one study.
    thresholds
        Where a score becomes a decision.
    seed
        Of every bootstrap.
    voxels
        Calibration of sampled voxels, if there is one.

    Raises
    ------
    ValueError
        If there are no results.
    """
    if not results:
        raise ValueError("there is nothing to summarise")
    scores = floats([each.score for each in results])
    bleeds = np.array([each.has_bleed for each in results], bool)
    patients = [each.patient_id for each in results]
    return Summary(
        num_studies=len(results),
        num_patients=len(set(patients)),
        num_with_bleed=int(bleeds.sum()),
        num_unfamiliar=sum(each.unfamiliar for each in results),
        diagnosis=diagnose(results, thresholds),
        decisions={
            decision.value: (
                sum(each.has_bleed and decide(each, thresholds) is decision for each in results),
                sum(
                    not each.has_bleed and decide(each, thresholds) is decision for each in results
                ),
            )
            for decision in Decision
        },
        kinds=by_kind(results, seed=seed),
        curves=curves(scores, bleeds, patients, seed=seed),
        operating_points=tuple(
            operating_point(scores, bleeds, threshold)
            for threshold in (thresholds.lower_score, thresholds.upper_score)
        ),
        score_reliability=reliability(scores, bleeds),
        voxel_reliability=voxels,
        agreements=agreements(results, seed=seed),
        by_volume=by_volume(results, thresholds, seed=seed),
        by_thickness=by_thickness(results, thresholds, seed=seed),
        median_seconds=float(np.median([each.seconds for each in results])),
    )


def diagnose(results: Sequence[CaseResult], thresholds: Thresholds) -> tuple[Diagnosis, ...]:
    """Count right decisions by each rule.

    Returns
    -------
    tuple of Diagnosis
        A borderline case goes to a person without a statement. It is wrong by the first rule; by
        the second it counts as a warning, by the third as silence. The last rule is the paper's.
    """
    positive = [decide(each, thresholds) is Decision.POSITIVE for each in results]
    negative = [decide(each, thresholds) is Decision.NEGATIVE for each in results]
    bleeds = np.array([each.has_bleed for each in results], bool)

    def counted(rule: str, called: Sequence[bool], cleared: Sequence[bool]) -> Diagnosis:
        right = np.where(bleeds, np.array(called, bool), np.array(cleared, bool))
        return Diagnosis(rule, *map(proportion, (right, right[bleeds], right[~bleeds])))

    any_voxel = [each.any_voxel for each in results]
    return (
        counted("POSITIVE with a bleed, NEGATIVE without", positive, negative),
        counted("not NEGATIVE with a bleed, NEGATIVE without", _inverse(negative), negative),
        counted("POSITIVE with a bleed, not POSITIVE without", positive, _inverse(positive)),
        counted("any lesion voxel (the paper's rule)", any_voxel, _inverse(any_voxel)),
    )


def _inverse(held: Sequence[bool]) -> list[bool]:
    return [not each for each in held]

"""What the trainings of an experiment say together: means over seeds, effects, and a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from config.errors import UsageError
from ml.evaluation.cases import KINDS, CaseResult
from ml.evaluation.statistics import Interval
from ml.reproduction.effects import (
    Effect,
    areas,
    difference_of_effects,
    effect_on_auc,
    effect_on_mean,
)
from ml.reproduction.pictures import Strip, draw_strips, effect_text

# Axes: S seed, N patient

Results = Mapping[str, Mapping[str, Mapping[int, Sequence[CaseResult]]]]
"""By condition, variant and seed: what was measured of the test patients."""

AUC = "AUC"
MEASURES: tuple[str, ...] = (*KINDS, AUC)
"""Dice of any haemorrhage (the one that decides), of each subtype, and the area of the score."""

_LEAST_SEEDS = 2


@dataclass(frozen=True)
class Spread:
    """One measure of one variant.

    Attributes
    ----------
    by_seed
        One value for each seed.
    mean, deviation
        Over the seeds.
    """

    by_seed: tuple[float, ...]
    mean: float
    deviation: float


@dataclass(frozen=True)
class InCondition:
    """What was found under one condition.

    Attributes
    ----------
    seeds
        That all variants have finished.
    num_patients
        For each measure, how many test patients it is over.
    spreads
        By variant and measure.
    effects
        By step (``transformer > symmetric``) and measure: the second less the first.
    """

    seeds: tuple[int, ...]
    num_patients: Mapping[str, int]
    spreads: Mapping[str, Mapping[str, Spread]]
    effects: Mapping[str, Mapping[str, Effect]]


@dataclass(frozen=True)
class Contrast:
    """How an effect differs between two conditions: under the second less under the first.

    Attributes
    ----------
    first, second
        The conditions.
    step, measure
        The effect.
    over_seeds, p_value
        As in `Effect`.
    """

    first: str
    second: str
    step: str
    measure: str
    over_seeds: Interval
    p_value: float | None


@dataclass(frozen=True)
class Compared:
    """All that was found.

    Attributes
    ----------
    conditions
        By name; those with fewer than two seeds are left out.
    contrasts
        Between each two conditions, for each step and for the measures that decide.
    """

    conditions: Mapping[str, InCondition]
    contrasts: tuple[Contrast, ...]


def compare_all(results: Results, *, seed: int) -> Compared:
    """Compare the variants under each condition, and the conditions.

    Parameters
    ----------
    results
        Of one condition at least, variants in the order of the ablation.
    seed
        Of the bootstrap.

    Raises
    ------
    UsageError
        If no condition has two seeds for all of its variants: nothing can be said of the spread.
    """
    conditions = {
        name: _compare(variants, seed)
        for name, variants in results.items()
        if len(_seeds_of(variants)) >= _LEAST_SEEDS
    }
    if not conditions:
        raise UsageError("no condition has two seeds that all variants have finished: run on")
    return Compared(conditions, tuple(_contrasts(conditions)))


def step_name(first: str, second: str) -> str:
    """Name of the step from one variant to another."""
    return f"{first} > {second}"


def steps_of(variants: Sequence[str]) -> list[tuple[str, str]]:
    """Each step of the ablation, and last the whole way."""
    steps = list(pairwise(variants))
    return [*steps, (variants[0], variants[-1])] if len(steps) > 1 else steps


def draw(
    results: Results, titles: Mapping[str, str], variants: Mapping[str, str], *, seed: int
) -> Figure:
    """Draw Dice of any haemorrhage: one panel a condition, one dot a training.

    Parameters
    ----------
    results
        What was measured.
    titles, variants
        Titles of conditions and of variants.
    seed
        Of the bootstrap.
    """
    found = compare_all(results, seed=seed)
    strips = []
    for name, of in found.conditions.items():
        neighbours = steps_of(list(of.spreads))[: len(of.spreads) - 1]
        strips.append(
            Strip(
                title=f"{titles[name]} ({len(of.seeds)} seeds)",
                values={
                    variants[variant]: spreads[KINDS[0]].by_seed
                    for variant, spreads in of.spreads.items()
                },
                effects=[
                    effect_text(of.effects[step_name(*step)][KINDS[0]].over_seeds)
                    for step in neighbours
                ],
            )
        )
    return draw_strips(strips, "Dice of any haemorrhage, mean over test patients")


def _seeds_of(variants: Mapping[str, Mapping[int, Sequence[CaseResult]]]) -> list[int]:
    """Seeds that all variants have finished."""
    return sorted(set.intersection(*(set(by_seed) for by_seed in variants.values())))


def _compare(variants: Mapping[str, Mapping[int, Sequence[CaseResult]]], seed: int) -> InCondition:
    seeds = _seeds_of(variants)
    tested = {name: [by_seed[each] for each in seeds] for name, by_seed in variants.items()}
    _require_same_patients([patients for runs in tested.values() for patients in runs])
    some = next(iter(tested.values()))[0]
    bleeds_N = np.array([result.has_bleed for result in some])
    spreads: dict[str, dict[str, Spread]] = {name: {} for name in tested}
    effects: dict[str, dict[str, Effect]] = {
        step_name(*step): {} for step in steps_of(list(tested))
    }
    num_patients: dict[str, int] = {}
    for measure in MEASURES:
        values = {name: _values(runs, measure) for name, runs in tested.items()}
        width = next(iter(values.values())).shape[1]
        both_kinds = bool(bleeds_N.any() and not bleeds_N.all())
        if not width or (measure == AUC and not both_kinds):
            continue
        num_patients[measure] = width
        for name, value_SN in values.items():
            by_seed = areas(value_SN, bleeds_N) if measure == AUC else value_SN.mean(axis=1)
            spreads[name][measure] = Spread(
                tuple(by_seed.tolist()), float(by_seed.mean()), float(by_seed.std(ddof=1))
            )
        for first, second in steps_of(list(tested)):
            rng = np.random.default_rng([seed, MEASURES.index(measure)])
            pair = values[first], values[second]
            effects[step_name(first, second)][measure] = (
                effect_on_auc(*pair, bleeds_N, rng)
                if measure == AUC
                else effect_on_mean(*pair, rng)
            )
    return InCondition(tuple(seeds), num_patients, spreads, effects)


def _values(runs: Sequence[Sequence[CaseResult]], measure: str) -> NDArray[np.float64]:
    """Scores of all patients, or Dice of those who have this kind in truth; shape (S, N)."""
    if measure == AUC:
        return np.array([[result.score for result in run] for run in runs])
    dices = [[result.of[measure].dice for result in run] for run in runs]
    return np.array([[dice for dice in run if dice is not None] for run in dices], float)


def _require_same_patients(runs: Sequence[Sequence[CaseResult]]) -> None:
    """Refuse to compare what was measured on different heads.

    Raises
    ------
    ValueError
        If patients or their true volumes differ.
    """
    seen = {
        tuple((result.patient_id, tuple(o.truth_ml for o in result.of.values())) for result in run)
        for run in runs
    }
    if len(seen) != 1:
        raise ValueError("trainings were measured on different patients")


def _contrasts(conditions: Mapping[str, InCondition]) -> list[Contrast]:
    """Differences of effects; only over seeds that both conditions have."""
    names = list(conditions)
    found = []
    for place, second in enumerate(names):
        for first in names[place + 1 :]:
            ours, theirs = conditions[first], conditions[second]
            if ours.seeds != theirs.seeds:
                continue
            for step, effects in theirs.effects.items():
                for measure in (KINDS[0], AUC):
                    if measure in effects and measure in ours.effects[step]:
                        interval, p_value = difference_of_effects(
                            ours.effects[step][measure], effects[measure]
                        )
                        found.append(Contrast(first, second, step, measure, interval, p_value))
    return found

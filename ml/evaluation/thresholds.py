"""Thresholds of a model, chosen on validation patients and on nobody else.

The lower score decides what NEGATIVE means, so that it is chosen by the patients who bleed: at
least `LEAST_SENSITIVITY` of them score at or above it. The upper score decides what POSITIVE means
and is chosen by the others: at least `LEAST_SPECIFICITY` of them score below it. Within that the
lower score clears as many as may be and the upper one finds as many as may be, and neither gives
away a patient for nothing. Every place between the two scores that are so told apart does the same
on the validation patients; taken is the middle. Where both kinds of patients are well apart it is
the same for both scores, halfway between them, and nothing is borderline.

A small set proves little: with fewer than 1 / (1 - 0.98) = 50 patients who bleed, none may be
missed, and still a threshold below the lowest of n scores misses about one in n + 1 new patients.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml.checkpoint import Thresholds
from ml.evaluation.cases import CaseResult
from ml.evaluation.statistics import floats
from ml.volume import Subtype

LEAST_SENSITIVITY = 0.98
"""Of the patients who bleed, so many must not be called negative.

The paper's 98.5 % are a figure to be reached on test patients. As a rule for a hundred validation
patients it means that one may be missed, and the score of a single faint bleed then decides whether
a third or four fifths of all healthy heads can be cleared.
"""
LEAST_SPECIFICITY = 0.99
"""Of the patients who do not, so many must not be called positive."""
FALSE_SUBTYPES = 0.03
"""Share of patients without a subtype in whom it may be reported all the same."""
LEAST_ML, MOST_ML = 0.1, 1.0
"""Between these the least volume of a subtype is chosen."""

_DIGITS = 6
_ROUNDING = 1e-9


def choose_thresholds(results: Sequence[CaseResult]) -> Thresholds:
    """Choose thresholds on validation patients.

    Parameters
    ----------
    results
        Of validation patients alone; only scores, truths and the largest lesions are looked at.

    Returns
    -------
    Thresholds
        By the rules above. Without patients who bleed the lower score is 0, and nothing will be
        negative; without the others the upper one is 1. The least volume of a lesion is the one
        that the largest lesion exceeds in 3 % of the patients without that subtype, within 0.1 to
        1 ml.
    """
    scores = floats([each.score for each in results])
    bleeds = np.array([each.has_bleed for each in results], bool)
    lower = _lower(scores, bleeds)
    return Thresholds(
        lower_score=lower,
        upper_score=max(lower, _upper(scores, bleeds)),
        minimum_ml={subtype.name: _minimum_ml(results, subtype.name) for subtype in Subtype},
    )


def _lower(scores: NDArray[np.float64], bleeds: NDArray[np.bool_]) -> float:
    """Clear as many as may be, and miss nobody for whom nobody is cleared."""
    rising, others = np.sort(scores[bleeds]), scores[~bleeds]
    if not rising.size:
        return 0.0
    may_miss = int(rising.size * (1 - LEAST_SENSITIVITY) + _ROUNDING)
    reached = rising[may_miss]
    cleared = others[others < reached].max(initial=0.0)
    kept = rising[rising > cleared].min(initial=reached)
    # whatever the rounding does, it must not lie above those who are not to be missed
    return float(min(round((cleared + kept) / 2, _DIGITS), kept))


def _upper(scores: NDArray[np.float64], bleeds: NDArray[np.bool_]) -> float:
    """Call as many positive as may be, and alarm for nobody for whom nobody is found."""
    found, falling = scores[bleeds], np.sort(scores[~bleeds])[::-1]
    if not falling.size:
        return 1.0
    may_alarm = int(falling.size * (1 - LEAST_SPECIFICITY) + _ROUNDING)
    reached = falling[may_alarm]
    kept = found[found > reached].min(initial=1.0)
    spared = falling[falling < kept].max(initial=reached)
    middle = round((spared + kept) / 2, _DIGITS)
    return float(middle if middle > spared else kept)


def _minimum_ml(results: Sequence[CaseResult], name: str) -> float:
    """Volume that the largest lesion of a subtype exceeds in 3 % of the patients without it."""
    largest_ml = [
        each.largest_ml[name]
        for each in results
        if not (each.of[name].present if each.knows_subtypes else each.has_bleed)
    ]
    exceeded = float(np.quantile(largest_ml, 1 - FALSE_SUBTYPES)) if largest_ml else 0.0
    return round(min(max(exceeded, LEAST_ML), MOST_ML), 2)

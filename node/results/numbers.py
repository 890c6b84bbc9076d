"""Which numbers can have been measured at all."""

import math
from collections.abc import Sequence

from ml.findings import Finding


def check_numbers(findings: Sequence[Finding], case_score_percent: float | None) -> None:
    """Refuse numbers that cannot have been measured.

    Parameters
    ----------
    findings
        Of one study, largest volume first.
    case_score_percent
        The model's score of the case, or None.

    Raises
    ------
    ValueError
        If a score is not a percentage, or a finding has no extent, no outline or no place in the
        order.
    """
    scores = [finding.certainty_percent for finding in findings]
    if case_score_percent is not None:
        scores.append(case_score_percent)
    if not all(0 <= score <= 100 for score in scores):
        raise ValueError(f"scores {scores} are not all between 0 and 100 percent")
    volumes = [finding.volume_ml for finding in findings]
    if volumes != sorted(volumes, reverse=True):
        raise ValueError("findings are not in order, largest first")
    for finding in findings:
        measured = (finding.volume_ml, finding.mean_hu, finding.max_diameter_mm)
        if not all(map(math.isfinite, measured)) or finding.volume_ml <= 0:
            raise ValueError(f"{finding.subtype.name} has volume, HU and diameter {measured}")
        if finding.max_diameter_mm < 0 or not finding.outlines:
            raise ValueError(f"{finding.subtype.name} has no extent or no outline")

"""One number for a case: how sure the network is of its most suspicious millilitre.

"Any lesion voxel", the rule of Nijiati et al. 2022, grows with the number of voxels and calls most
healthy heads positive; a mean over a fixed volume does not.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SUSPICIOUS_ML = 1.0
"""Volume over which the score is a mean, ml."""

_NEGLIGIBLE = 0.01
"""Voxels less probable than this are not kept."""


def case_score(slices: Iterable[tuple[NDArray[np.float32], float]]) -> float:
    """Score a case.

    Parameters
    ----------
    slices
        For each slice the probability of haemorrhage of any subtype (one minus background) in an
        array of any shape, and the volume of one of its voxels, ml.

    Returns
    -------
    float
        0 to 1: mean probability over the most probable `SUSPICIOUS_ML`, voxels of all slices taken
        together; what is less than 1 % probable counts as 0.
    """
    kept, volumes_ml = [], []
    for probability, voxel_ml in slices:
        likely = np.sort(probability[probability >= _NEGLIGIBLE])[::-1]
        # no slice contributes more than the whole volume
        likely = likely[: int(np.ceil(SUSPICIOUS_ML / voxel_ml))]
        kept.append(likely)
        volumes_ml.append(np.full(likely.shape, voxel_ml))
    if not kept:
        return 0.0
    probable, volume_ml = np.concatenate(kept), np.concatenate(volumes_ml)
    order = np.argsort(-probable, kind="stable")
    reached_ml = np.cumsum(volume_ml[order])
    within_ml = np.clip(volume_ml[order] - (reached_ml - SUSPICIOUS_ML), 0, volume_ml[order])
    return float(probable[order].astype(np.float64) @ within_ml / SUSPICIOUS_ML)

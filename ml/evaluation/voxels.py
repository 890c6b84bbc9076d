"""Voxels on which a network is asked for its logits, for calibration."""

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.calibration import VoxelSample, join
from ml.inference import Segmenter
from ml.plane import Alignment
from ml.preprocess import AlignedVolume, resample, resample_labels
from ml.volume import NUM_CLASSES, Mask, Volume

# Axes: Z slice, C class, S row and column of the aligned image, N voxels

DOUBTFUL = 0.01
"""Voxels that are less probably blood, and are none, are left out: nearly all of a scan is air,
bone and brain of which every network is sure, and would hide what happens in the rest."""
MOST_VOXELS = 4096
"""So many are taken of a study."""


def sample_voxels(
    segmenter: Segmenter,
    volume: Volume,
    truth: Mask,
    alignment: Alignment,
    *,
    seed: int,
    most_voxels: int = MOST_VOXELS,
) -> VoxelSample:
    """Take voxels of a study that bleed, or that the network holds for possibly bleeding.

    Parameters
    ----------
    segmenter
        Its network is run once more; its temperature decides which voxels are doubtful.
    volume, truth
        On the grid of the source.
    alignment
        As the prediction has it.
    seed
        Of the choice among them, if there are more than `most_voxels`.
    most_voxels
        So many are taken at most.

    Returns
    -------
    VoxelSample
        On the aligned grid, where the logits are.
    """
    aligned = resample(volume, alignment, segmenter.card.input)
    labels_ZSS = resample_labels(truth, alignment, segmenter.card.input)
    return sample_aligned(segmenter, aligned, labels_ZSS, seed=seed, most_voxels=most_voxels)


def sample_aligned(
    segmenter: Segmenter,
    aligned: AlignedVolume,
    labels_ZSS: NDArray[np.uint8],
    *,
    seed: int,
    most_voxels: int = MOST_VOXELS,
) -> VoxelSample:
    """Take voxels as `sample_voxels` does, of a study that is aligned already.

    Parameters
    ----------
    segmenter, seed, most_voxels
        As in `sample_voxels`.
    aligned
        Resampled by the card's `InputSpec`.
    labels_ZSS
        Shape (Z, S, S), its true labels, as `ml.preprocess.resample_labels` makes them.
    """
    # log of the odds of blood at which it is DOUBTFUL
    least_odds = np.log(DOUBTFUL / (1 - DOUBTFUL))
    taken = [VoxelSample(np.empty((0, NUM_CLASSES), np.float32), np.empty(0, np.uint8))]
    for index, logits_CSS in segmenter.logits(aligned):
        scaled_CSS = logits_CSS / segmenter.card.temperature
        odds_SS = np.logaddexp.reduce(scaled_CSS[1:], axis=0) - scaled_CSS[0]
        chosen_SS = (odds_SS >= least_odds) | (labels_ZSS[index] > 0)
        taken.append(VoxelSample(logits_CSS[:, chosen_SS].T, labels_ZSS[index][chosen_SS]))
    sample = join(taken)
    if sample.labels.size <= most_voxels:
        return sample
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.choice(sample.labels.size, most_voxels, replace=False))
    return VoxelSample(sample.logits[kept], sample.labels[kept])

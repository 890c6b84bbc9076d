"""Overlays for TensorBoard: truth and prediction side by side on a slice."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ml.preprocess import network_input
from ml.training.datasets import UNNAMED, Case
from ml.volume import Subtype

# Axes: Y row, X column; pictures are (Y, X, 3)

_DARKEST_HU, _BRIGHTEST_HU = 0.0, 100.0
_OPACITY = 0.45
_COLOURS: Mapping[int, tuple[int, int, int]] = {
    Subtype.IPH: (230, 60, 60),
    Subtype.IVH: (70, 130, 240),
    Subtype.EDH: (250, 170, 40),
    Subtype.SDH: (60, 190, 90),
    Subtype.SAH: (190, 80, 220),
    UNNAMED: (240, 240, 70),
}


@torch.inference_mode()
def overlays(
    model: nn.Module, cases: Sequence[Case], device: torch.device, *, count: int = 4
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Draw the slice with most blood of the first patients who bleed.

    Returns
    -------
    Iterator
        Name, and picture of shape (S, 2 S, 3): the truth on the left, the prediction on the right.
    """
    bleeding = [case for case in cases if case.labels.any()]
    for number, case in enumerate(bleeding[:count]):
        index = int((case.labels > 0).sum(axis=(1, 2)).argmax())
        image_CYX = torch.from_numpy(network_input(case.aligned, np.array([index]))).to(device)
        said_YX = model(image_CYX).argmax(dim=1)[0].cpu().numpy()
        halves = [overlay(case.hu[index], labels) for labels in (case.labels[index], said_YX)]
        yield f"truth_and_prediction_{number}", np.concatenate(halves, axis=1)


def overlay(hu_YX: NDArray[np.int16], labels_YX: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Colour labels on a slice.

    Returns
    -------
    NDArray
        Shape (Y, X, 3): grey from 0 to 100 HU, one colour for each subtype.
    """
    grey_YX = np.clip((hu_YX - _DARKEST_HU) / (_BRIGHTEST_HU - _DARKEST_HU), 0, 1) * 255
    picture = np.repeat(grey_YX[..., None], 3, axis=2)
    for label, colour in _COLOURS.items():
        here = labels_YX == label
        picture[here] = (1 - _OPACITY) * picture[here] + _OPACITY * np.array(colour)
    return picture.astype(np.uint8)

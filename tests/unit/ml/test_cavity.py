"""Blood within the skull lies in the cavity; what lies outside it is never called blood."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.align import Alignment, align
from ml.cavity import cranial_cavity
from ml.inference import Precision, Segmenter
from ml.phantom import Difficulty, Scan, make_phantom
from ml.preprocess import AlignedVolume, InputSpec, resample, resample_labels
from ml.volume import NUM_CLASSES, Subtype
from tests.support.heads import Head, axial_grid
from tests.unit.ml.test_inference import CARD

SPEC = InputSpec(size=128, pixel_mm=1.8)


def _resampled(seed: int, subtype: Subtype) -> tuple[AlignedVolume, NDArray[np.uint8]]:
    phantom = make_phantom(seed, [subtype], scan=Scan(matrix=192), difficulty=Difficulty.HARD)
    alignment = align(phantom.volume)
    return (
        resample(phantom.volume, alignment, SPEC),
        resample_labels(phantom.mask, alignment, SPEC),
    )


@pytest.mark.parametrize("subtype", Subtype)
def test_it_holds_the_blood_of_every_subtype(subtype: Subtype) -> None:
    for seed in (71, 72):
        aligned, labels = _resampled(seed, subtype)
        cavity = cranial_cavity(aligned)
        blood = labels == subtype
        assert (blood & ~cavity).sum() <= 0.02 * blood.sum()


def test_it_leaves_out_scalp_bone_and_air() -> None:
    head, grid = Head(), axial_grid(num_slices=8, step_mm=12.0)
    volume = head.volume(grid, noise_hu=0)
    aligned = resample(volume, Alignment.identity(grid), SPEC)
    cavity = cranial_cavity(aligned)
    outside = (aligned.hu < -500) | (aligned.hu == 20)
    assert outside.any()
    assert not (cavity & outside).any()
    # two voxels of the average may reach into bone, no more
    assert (cavity & (aligned.hu > 900)).sum() < 0.2 * cavity.sum()


def test_without_a_skull_nothing_is_left_out() -> None:
    grid = axial_grid(num_slices=8, step_mm=12.0)
    aligned = resample(Head().volume(grid, noise_hu=0), Alignment.identity(grid), SPEC)
    boneless = AlignedVolume(np.minimum(aligned.hu, 60), grid, aligned.alignment, SPEC)
    assert cranial_cavity(boneless).all()


class EverythingBleeds(nn.Module):
    """Calls every pixel an intraparenchymal bleed."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(9.0))

    def forward(self, image_NCSS: Tensor) -> Tensor:
        logits = torch.zeros(len(image_NCSS), NUM_CLASSES, *image_NCSS.shape[2:])
        logits[:, Subtype.IPH] = self.logit
        return logits


def test_what_a_network_says_of_the_scalp_is_not_believed() -> None:
    grid = axial_grid(num_slices=8, step_mm=12.0)
    volume = Head(turned_deg=8).volume(grid, noise_hu=0)
    segmenter = Segmenter(EverythingBleeds(), CARD, device="cpu", precision=Precision.FP32)
    said = segmenter.segment(volume).mask.labels > 0
    assert said[np.abs(volume.hu - 35) < 1].mean() > 0.99
    assert not said[volume.hu == 20].any()
    assert not said[volume.hu < -500].any()

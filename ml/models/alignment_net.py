"""A small network that finds the midline of a slice: rotation and left-right shift.

Nijiati et al. 2022 straighten heads by a symmetry-based alignment network, without its layers; of
the works that they cite for it, Liang et al. 2021 describe such a network. Ours halves the image
four times and regresses both numbers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.models.blocks import convolution

# Axes: B batch, C channel, S row and column of the image

IMAGE_SIZE = 64
"""Rows and columns of an image."""
_NUM_HALVINGS = 4


@dataclass(frozen=True)
class AlignmentNetConfig:
    """Size and reach of the network.

    Attributes
    ----------
    base_width
        Channels after the first convolution.
    hidden
        Width of the layer before the two numbers.
    most_rotation_deg, most_shift_pixels
        Largest values that it can return in one pass.
    """

    base_width: int = 16
    hidden: int = 64
    most_rotation_deg: float = 30.0
    most_shift_pixels: float = 8.0


class AlignmentNet(nn.Module):
    """Regress the midline of masked slices.

    Freshly built it finds every head straight: the last layer begins at zero.
    """

    def __init__(self, config: AlignmentNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AlignmentNetConfig()
        widths = [1, *(config.base_width * factor for factor in (1, 2, 4, 4))]
        layers: list[nn.Module] = []
        for i in range(_NUM_HALVINGS):
            size = 5 if i == 0 else 3
            layers += convolution(widths[i], widths[i + 1], size=size, stride=2)
            layers.append(nn.ReLU(inplace=True))
        self.features = nn.Sequential(*layers)
        left = IMAGE_SIZE >> _NUM_HALVINGS
        self.hidden = nn.Linear(widths[-1] * left * left, config.hidden)
        self.numbers = nn.Linear(config.hidden, 2)
        nn.init.zeros_(self.numbers.weight)
        nn.init.zeros_(self.numbers.bias)

    def forward(self, image_BSS: Tensor) -> tuple[Tensor, Tensor]:
        """Find the midlines.

        Parameters
        ----------
        image_BSS
            0 to 1 in the head, 0 elsewhere; the head near the middle.

        Returns
        -------
        rotation_deg_B, shift_pixels_B : Tensor
            As `straighten` takes them.
        """
        feature = self.features(image_BSS[:, None]).flatten(start_dim=1)
        numbers_B2 = torch.tanh(self.numbers(functional.relu(self.hidden(feature))))
        config = self.config
        return config.most_rotation_deg * numbers_B2[:, 0], (
            config.most_shift_pixels * numbers_B2[:, 1]
        )


def straighten(
    image_BSS: Tensor, rotation_deg_B: Tensor, shift_B: Tensor, down_B: Tensor | None = None
) -> Tensor:
    """Sample images along turned and shifted axes; differentiable in all arguments.

    Parameters
    ----------
    image_BSS
        The images.
    rotation_deg_B
        Angle of the midline, as in `ml.plane.Alignment`: clockwise is positive.
    shift_B
        Distance of the midline from the middle of the image along the turned left-right axis,
        pixels, positive to the right of the image.
    down_B
        The same along the turned midline; 0 if None.

    Returns
    -------
    Tensor
        Of the same shape, the midline in its middle column; 0 outside the image.
    """
    turn_B = torch.deg2rad(rotation_deg_B)
    cos_B, sin_B = turn_B.cos(), turn_B.sin()
    half = image_BSS.shape[-1] / 2
    right_B = shift_B / half
    back_B = torch.zeros_like(right_B) if down_B is None else down_B / half
    # source (x, y) of result (x, y): cos (x + right) - sin (y + down), sin (...) + cos (...)
    rows = (
        torch.stack([cos_B, -sin_B, cos_B * right_B - sin_B * back_B], dim=1),
        torch.stack([sin_B, cos_B, sin_B * right_B + cos_B * back_B], dim=1),
    )
    where = functional.affine_grid(
        torch.stack(rows, dim=1), [len(turn_B), 1, *image_BSS.shape[1:]], align_corners=False
    )
    return functional.grid_sample(image_BSS[:, None], where, align_corners=False)[:, 0]


def asymmetry(image_BSS: Tensor) -> Tensor:
    """Mean difference of images from their mirror images, relative to their mean, shape (B,)."""
    apart_B = (image_BSS - image_BSS.flip(2)).abs().mean(dim=(1, 2))
    return apart_B / image_BSS.mean(dim=(1, 2)).clamp_min(0.01)

"""Convolution blocks that the networks share.

Axes: B batch, C channel, Y row, X column.
"""

from torch import Tensor, nn
from torch.nn import functional


class ConvBlock(nn.Sequential):
    """Convolutions of 3x3, each followed by batch normalisation and ReLU.

    Parameters
    ----------
    in_channels, out_channels
        Channels before the first and after every convolution.
    num_convolutions
        How many; the paper's stages have one.
    """

    def __init__(self, in_channels: int, out_channels: int, num_convolutions: int = 1) -> None:
        layers: list[nn.Module] = []
        for i in range(num_convolutions):
            channels = in_channels if i == 0 else out_channels
            layers.append(nn.Conv2d(channels, out_channels, 3, padding=1, bias=False))
            layers.append(nn.BatchNorm2d(out_channels))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


def enlarge(feature_BCYX: Tensor, factor: int = 2) -> Tensor:
    """Enlarge a feature map bilinearly; pixel areas, not pixel centres, stay where they are."""
    return functional.interpolate(
        feature_BCYX, scale_factor=factor, mode="bilinear", align_corners=False
    )

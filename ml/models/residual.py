"""Residual blocks, which DA-Net and HR-Net are made of.

He et al. 2016, CVPR, "Deep residual learning for image recognition", figure 5. Axes: B batch,
C channel, Y row, X column.
"""

from torch import Tensor, nn

from ml.models.blocks import convolution

EXPANSION: int = 4
"""A bottleneck has this many times more channels outside than inside."""


class ResidualBlock(nn.Module):
    """Add what some convolutions make of a feature map to the map itself; then ReLU.

    Parameters
    ----------
    residual
        Maps (B, in_channels, Y, X) to (B, out_channels, Y/stride, X/stride), normalised.
    in_channels, out_channels, stride
        Of `residual`. Where they change the shape, a 1x1 convolution brings the map itself along.
    """

    def __init__(
        self, residual: nn.Module, in_channels: int, out_channels: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            projection = convolution(in_channels, out_channels, size=1, stride=stride)
            self.shortcut = nn.Sequential(*projection)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, feature_BCYX: Tensor) -> Tensor:
        """Map (B, in_channels, Y, X) to (B, out_channels, Y/stride, X/stride)."""
        summed_BCYX = self.residual(feature_BCYX) + self.shortcut(feature_BCYX)
        activated_BCYX: Tensor = self.activation(summed_BCYX)
        return activated_BCYX


def basic_block(channels: int) -> ResidualBlock:
    """Return a block of two 3x3 convolutions that keeps the number of channels."""
    residual = nn.Sequential(
        *convolution(channels, channels, size=3),
        nn.ReLU(inplace=True),
        *convolution(channels, channels, size=3),
    )
    return ResidualBlock(residual, channels, channels)


def bottleneck(
    in_channels: int, inner_channels: int, *, stride: int = 1, dilation: int = 1
) -> ResidualBlock:
    """Return a block of 1x1, 3x3 and 1x1 convolutions, the last to four times `inner_channels`."""
    out_channels = EXPANSION * inner_channels
    residual = nn.Sequential(
        *convolution(in_channels, inner_channels, size=1),
        nn.ReLU(inplace=True),
        *convolution(inner_channels, inner_channels, size=3, stride=stride, dilation=dilation),
        nn.ReLU(inplace=True),
        *convolution(inner_channels, out_channels, size=1),
    )
    return ResidualBlock(residual, in_channels, out_channels, stride)

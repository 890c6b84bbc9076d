"""SEU-Net: a U-Net whose stages weigh each place by what all channels see there.

Spatial squeeze and excitation: Roy et al. 2018, MICCAI, LNCS 11070:421 ("sSE"). Nijiati et al. 2022
report as many parameters for their "SEU-Net" as for their U-Net, 2.47 million. Channel excitation
would add 0.05 million at the usual reduction of 16, and 0.43 at Roy's of 2; spatial excitation adds
1,408 parameters. Hence our reading.

Axes: B batch, C channel, Y row, X column.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from ml.models.blocks import ConvBlock
from ml.models.unet import EncoderDecoder, UNetConfig


class SpatialExcitation(nn.Module):
    """Squeeze the channels of each place to one number, and scale the place by its sigmoid.

    Parameters
    ----------
    channels
        Of the feature map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, feature_BCYX: Tensor) -> Tensor:
        """Map (B, C, Y, X) to the same shape."""
        excitation_B1YX: Tensor = self.squeeze(feature_BCYX).sigmoid()
        return feature_BCYX * excitation_B1YX


def excited_stage(in_channels: int, out_channels: int) -> nn.Module:
    """Return a stage: the U-Net's convolution, then spatial excitation."""
    return nn.Sequential(ConvBlock(in_channels, out_channels), SpatialExcitation(out_channels))


@dataclass(frozen=True)
class ExcitedUNetConfig(UNetConfig):
    """Every choice of the network; those of `UNetConfig`."""


class ExcitedUNet(EncoderDecoder):
    """Spatial excitation after each of the seven stages of encoder and decoder."""

    def __init__(self, config: ExcitedUNetConfig) -> None:
        super().__init__(config, stage=excited_stage)
        self.config = config

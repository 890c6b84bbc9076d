"""DU-Net: a U-Net that looks further at its narrowest place, by a dilated convolution.

Dilated convolutions: Yu and Koltun 2016, ICLR. Nijiati et al. 2022 compare with a "DU-Net" of 4.83
million parameters, 2.36 more than their U-Net: exactly one 3x3 convolution of 512 to 512 channels.
The count says neither the dilation nor whether the other convolutions, too, are dilated.

Axes: B batch, C channel, Y row, X column.
"""

from dataclasses import dataclass

from ml.models.blocks import ConvBlock, require_positive
from ml.models.unet import EncoderDecoder, UNetConfig, widths_of


@dataclass(frozen=True)
class DilatedUNetConfig(UNetConfig):
    """Every choice of the network; those of `UNetConfig`, and the dilation.

    Attributes
    ----------
    dilation
        Pixels of the deepest map between the taps of the added convolution.
    """

    dilation: int = 2

    def __post_init__(self) -> None:
        """Refuse values below one."""
        super().__post_init__()
        require_positive(self, "dilation")


class DilatedUNet(EncoderDecoder):
    """A second convolution at the narrowest place, dilated."""

    def __init__(self, config: DilatedUNetConfig) -> None:
        deepest = widths_of(config.base_width)[-1]
        super().__init__(config, bridge=ConvBlock(deepest, deepest, dilation=config.dilation))
        self.config = config

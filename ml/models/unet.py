"""U-Net: the paper's simplest network, and the encoder and decoder of four of the others.

Ronneberger et al. 2015, MICCAI, LNCS 9351:234, in the size that Nijiati et al. 2022 report: one
convolution a stage and skips that are added, not joined as channels. Both are our reading, from
the parameter count (2.47 million) alone.

Axes: B batch, C channel, Y row, X column.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from ml.models.blocks import ConvBlock, enlarge, require_positive, require_shape
from ml.volume import NUM_CLASSES

NUM_POOLINGS: int = 3
"""The encoder halves the image three times: B x C x H x W to B x 8C x H/8 x W/8."""

UNET_STRIDE: int = 2**NUM_POOLINGS
"""Pixels that a place of the deepest map stands for, along rows and along columns."""

Stage = Callable[[int, int], nn.Module]
"""Makes a stage from its channels before and after."""


@dataclass(frozen=True)
class UNetConfig:
    """Every choice of the network.

    Attributes
    ----------
    in_channels
        Channels of the input; the paper has one, the brain window.
    base_width
        Channels C of the first stage; the stages have C, 2C, 4C and 8C.
    num_classes
        Background and the subtypes.
    """

    in_channels: int = 1
    base_width: int = 64
    num_classes: int = NUM_CLASSES

    def __post_init__(self) -> None:
        """Refuse widths below one."""
        require_positive(self, "in_channels", "base_width", "num_classes")


class Encoder(nn.Module):
    """Stages with a max-pooling between each two of them.

    Parameters
    ----------
    in_channels
        Of the image.
    widths
        Channels after each stage.
    stage
        What a stage is.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], stage: Stage = ConvBlock) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            stage(before, after) for before, after in pairwise([in_channels, *widths])
        )

    def forward(self, image_BCYX: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the deepest map, (B, 8C, Y/8, X/8), and those before it, shallowest first."""
        *before, deepest = self.stages
        feature_BCYX = image_BCYX
        skips: list[Tensor] = []
        for stage in before:
            feature_BCYX = stage(feature_BCYX)
            skips.append(feature_BCYX)
            feature_BCYX = functional.max_pool2d(feature_BCYX, 2)
        return deepest(feature_BCYX), skips


class Decoder(nn.Module):
    """Narrow by 1x1, enlarge, add the skip, convolve; then classify each pixel by 1x1.

    Parameters
    ----------
    widths
        Channels of the encoder's stages.
    num_classes
        Of the logits.
    stage
        What a stage is.
    """

    def __init__(self, widths: Sequence[int], num_classes: int, stage: Stage = ConvBlock) -> None:
        super().__init__()
        deepest_first = list(reversed(widths))
        self.narrowings = nn.ModuleList(
            nn.Conv2d(before, after, 1) for before, after in pairwise(deepest_first)
        )
        self.stages = nn.ModuleList(stage(width, width) for width in deepest_first[1:])
        self.classifier = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, feature_BCYX: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Return the logits, at the size of the shallowest skip."""
        for narrow, stage, skip_BCYX in zip(
            self.narrowings, self.stages, reversed(skips), strict=True
        ):
            feature_BCYX = stage(enlarge(narrow(feature_BCYX)) + skip_BCYX)
        logits_BCYX: Tensor = self.classifier(feature_BCYX)
        return logits_BCYX


class EncoderDecoder(nn.Module):
    """An encoder, something at the narrowest place, a decoder: the form of four networks.

    Softmax is left to the loss and to inference: the network returns logits.

    Parameters
    ----------
    config
        Channels and classes.
    bridge
        Maps (B, 8C, Y/8, X/8) to the same shape.
    stage
        What a stage is.
    image_size
        Rows and columns that the image must have; None if any multiple of 8 will do.
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        bridge: nn.Module | None = None,
        stage: Stage = ConvBlock,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self._channels = config.in_channels
        self._image_size = image_size
        widths = widths_of(config.base_width)
        self.encoder = Encoder(config.in_channels, widths, stage)
        self.bridge = nn.Identity() if bridge is None else bridge
        self.decoder = Decoder(widths, config.num_classes, stage)

    def forward(self, image_BCYX: Tensor) -> Tensor:
        """Segment slices.

        Parameters
        ----------
        image_BCYX
            Shape (B, in_channels, Y, X), aligned and standardised; Y and X multiples of 8.

        Returns
        -------
        Tensor
            Shape (B, num_classes, Y, X), logits.

        Raises
        ------
        ValueError
            If the image has another shape.
        """
        require_shape(
            image_BCYX, channels=self._channels, multiple=UNET_STRIDE, size=self._image_size
        )
        feature_BCYX, skips = self.encoder(image_BCYX)
        logits_BCYX: Tensor = self.decoder(self.bridge(feature_BCYX), skips)
        return logits_BCYX


class UNet(EncoderDecoder):
    """Nothing at the narrowest place: the ablation's first row."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        self.config = config


def widths_of(base_width: int) -> list[int]:
    """Channels of the encoder's stages: C, 2C, 4C, 8C."""
    return [base_width * 2**i for i in range(NUM_POOLINGS + 1)]

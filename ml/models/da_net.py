"""DA-Net: a residual network whose places, and whose channels, attend to each other.

Fu et al. 2019, CVPR, "Dual attention network for scene segmentation": a dilated ResNet whose map is
an eighth of the image, then position attention and channel attention side by side, summed. Nijiati
et al. 2022 give it 26.97 million parameters, which fits a ResNet-50 (23.5 million) and a head of
1x1 convolutions (26.46 million in all); the 3x3 head of the authors' program would make it 47.4.
The auxiliary classifiers of the two branches, which serve training alone, are left out.

Axes: B batch, C channel, Y row, X column, N places, D width of query and key.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.models.blocks import convolution, require_positive, require_shape, resize_like
from ml.models.residual import EXPANSION, bottleneck
from ml.volume import NUM_CLASSES

NUM_BLOCKS: tuple[int, ...] = (3, 4, 6, 3)
"""Bottlenecks in each stage of a ResNet-50 (He et al. 2016, table 1)."""

STRIDES: tuple[int, ...] = (1, 2, 1, 1)
DILATIONS: tuple[int, ...] = (1, 1, 2, 4)
"""The last two stages are dilated instead of halving the map (Fu et al. 2019, section 3.1)."""

HEAD_SHARE: int = 4
"""The head has a quarter of the encoder's channels."""

KEY_SHARE: int = 8
"""Queries and keys have an eighth of the head's channels."""


@dataclass(frozen=True)
class DANetConfig:
    """Every choice of the network.

    Attributes
    ----------
    in_channels
        Channels of the input.
    base_width
        Channels C of the stem; the stages have 4C, 8C, 16C and 32C. A ResNet-50 has 64.
    num_classes
        Background and the subtypes.
    """

    in_channels: int = 1
    base_width: int = 64
    num_classes: int = NUM_CLASSES

    def __post_init__(self) -> None:
        """Refuse widths below one."""
        require_positive(self, "in_channels", "base_width", "num_classes")


class PositionAttention(nn.Module):
    """Each place becomes a mixture of all places, by how alike they are (equations 1 and 2).

    The weight of the mixture, `scale`, is learned, and zero at first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        key_channels = max(1, channels // KEY_SHARE)
        self.query = nn.Conv2d(channels, key_channels, 1)
        self.key = nn.Conv2d(channels, key_channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, feature_BCYX: Tensor) -> Tensor:
        """Map (B, C, Y, X) to the same shape."""
        query_B1ND, key_B1ND, value_B1NC = (
            project(feature_BCYX).flatten(2).transpose(1, 2).unsqueeze(1)
            for project in (self.query, self.key, self.value)
        )
        # the paper does not divide by the root of D
        mixed_B1NC = functional.scaled_dot_product_attention(
            query_B1ND, key_B1ND, value_B1NC, scale=1.0
        )
        mixed_BCYX = mixed_B1NC.squeeze(1).transpose(1, 2).reshape(feature_BCYX.shape)
        return feature_BCYX + self.scale * mixed_BCYX


class ChannelAttention(nn.Module):
    """Each channel becomes a mixture of all channels, by how alike they are (equations 3 and 4).

    There is no projection: the weight of the mixture, `scale`, zero at first, is all it learns.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, feature_BCYX: Tensor) -> Tensor:
        """Map (B, C, Y, X) to the same shape."""
        feature_BCN = feature_BCYX.flatten(2)
        affinity_BCC = (feature_BCN @ feature_BCN.transpose(1, 2)).softmax(dim=-1)
        mixed_BCYX = (affinity_BCC @ feature_BCN).reshape(feature_BCYX.shape)
        return feature_BCYX + self.scale * mixed_BCYX


class DANet(nn.Module):
    """Dilated residual encoder, two kinds of attention, their sum classified and enlarged."""

    def __init__(self, config: DANetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        channels = config.base_width * 2 ** (len(NUM_BLOCKS) - 1) * EXPANSION
        width = channels // HEAD_SHARE
        self.position_branch = nn.Sequential(
            _pointwise(channels, width), PositionAttention(width), _pointwise(width, width)
        )
        self.channel_branch = nn.Sequential(
            _pointwise(channels, width), ChannelAttention(), _pointwise(width, width)
        )
        self.classifier = nn.Conv2d(width, config.num_classes, 1)

    def forward(self, image_BCYX: Tensor) -> Tensor:
        """Segment slices.

        Parameters
        ----------
        image_BCYX
            Shape (B, in_channels, Y, X), aligned and standardised.

        Returns
        -------
        Tensor
            Shape (B, num_classes, Y, X), logits.

        Raises
        ------
        ValueError
            If the image has another number of channels.
        """
        require_shape(image_BCYX, channels=self.config.in_channels, multiple=1, size=None)
        feature_BCYX = self.encoder(image_BCYX)
        fused_BCYX = self.position_branch(feature_BCYX) + self.channel_branch(feature_BCYX)
        return resize_like(self.classifier(fused_BCYX), image_BCYX)


def _encoder(config: DANetConfig) -> nn.Sequential:
    """Return a ResNet-50 without its classifier; its map is an eighth of the image."""
    width = config.base_width
    layers = convolution(config.in_channels, width, size=7, stride=2)
    layers += [nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1)]
    channels = width
    for i, (count, stride, dilation) in enumerate(zip(NUM_BLOCKS, STRIDES, DILATIONS, strict=True)):
        inner = width * 2**i
        for j in range(count):
            first_stride = stride if j == 0 else 1
            layers.append(bottleneck(channels, inner, stride=first_stride, dilation=dilation))
            channels = EXPANSION * inner
    return nn.Sequential(*layers)


def _pointwise(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(*convolution(in_channels, out_channels, size=1), nn.ReLU(inplace=True))

"""HR-Net: streams of four resolutions side by side, which exchange what they know again and again.

Wang et al. 2021, IEEE TPAMI 43:3349, "Deep high-resolution representation learning for visual
recognition", in the form for segmentation (HRNetV2). Nijiati et al. 2022 give it 17.12 million
parameters but not its width; C = 24 comes nearest, between the published C = 18 and C = 32.

Axes: B batch, C channel, Y row, X column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.models.blocks import convolution, require_positive, require_shape, resize_like
from ml.models.residual import EXPANSION, basic_block, bottleneck
from ml.volume import NUM_CLASSES

STEM_WIDTH: int = 64
"""Channels of the stem, and inner channels of the first stage, whatever C is."""

NUM_BLOCKS: int = 4
"""Residual blocks of a stream between two exchanges, and bottlenecks of the first stage."""

NUM_MODULES: tuple[int, ...] = (1, 4, 3)
"""Exchanges in the stages of two, three and four streams."""


@dataclass(frozen=True)
class HRNetConfig:
    """Every choice of the network.

    Attributes
    ----------
    in_channels
        Channels of the input.
    base_width
        Channels C of the finest stream; the others have 2C, 4C and 8C.
    num_classes
        Background and the subtypes.
    """

    in_channels: int = 1
    base_width: int = 24
    num_classes: int = NUM_CLASSES

    def __post_init__(self) -> None:
        """Refuse widths below one."""
        require_positive(self, "in_channels", "base_width", "num_classes")

    @property
    def stem_width(self) -> int:
        """Channels of the stem; fewer than published only where C, too, is below any published."""
        return min(STEM_WIDTH, 4 * self.base_width)


class Gathering(nn.Module):
    """One stream gets the sum of all streams, brought to its resolution and its channels.

    From a finer one by 3x3 convolutions of stride 2, from a coarser one by 1x1 and enlargement.

    Parameters
    ----------
    widths
        Channels of each stream, the finest first.
    target
        Index of the stream that gathers.
    """

    def __init__(self, widths: Sequence[int], target: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(_path(widths, source, target) for source in range(len(widths)))
        self._target = target

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Return the stream `target`, of the same shape as before."""
        total_BCYX = streams[self._target]
        for source, (path, stream_BCYX) in enumerate(zip(self.paths, streams, strict=True)):
            if source < self._target:
                total_BCYX = total_BCYX + path(stream_BCYX)
            elif source > self._target:
                total_BCYX = total_BCYX + resize_like(path(stream_BCYX), total_BCYX)
        return functional.relu(total_BCYX)


class HighResolutionModule(nn.Module):
    """Residual blocks in each stream, then an exchange between all of them.

    Parameters
    ----------
    widths
        Channels of each stream, the finest first.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.streams = nn.ModuleList(
            nn.Sequential(*(basic_block(width) for _ in range(NUM_BLOCKS))) for width in widths
        )
        self.exchange = nn.ModuleList(Gathering(widths, i) for i in range(len(widths)))

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """Map streams to as many of the same shapes."""
        passed = [blocks(stream) for blocks, stream in zip(self.streams, streams, strict=True)]
        return [gather(passed) for gather in self.exchange]


class HRNet(nn.Module):
    """Stem to a quarter of the image, stages of one to four streams, all of them classified.

    Softmax is left to the loss and to inference: the network returns logits.
    """

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        self.config = config
        stem, widths = config.stem_width, [config.base_width * 2**i for i in range(4)]
        self.stem = nn.Sequential(
            _convolved(config.in_channels, stem, stride=2), _convolved(stem, stem, stride=2)
        )
        first = EXPANSION * stem
        self.first_stage = nn.Sequential(
            *(bottleneck(stem if i == 0 else first, stem) for i in range(NUM_BLOCKS))
        )
        self.finest = _convolved(first, widths[0])
        # a further stream begins at what was the coarsest one so far
        self.beginnings = nn.ModuleList(
            _convolved(before, after, stride=2) for before, after in pairwise([first, *widths[1:]])
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(HighResolutionModule(widths[: i + 2]) for _ in range(count)))
            for i, count in enumerate(NUM_MODULES)
        )
        total = sum(widths)
        self.classifier = nn.Sequential(
            *convolution(total, total, size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(total, config.num_classes, 1),
        )

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
        feature_BCYX = self.first_stage(self.stem(image_BCYX))
        coarsest_BCYX, streams = feature_BCYX, [self.finest(feature_BCYX)]
        for begin, stage in zip(self.beginnings, self.stages, strict=True):
            streams = stage([*streams, begin(coarsest_BCYX)])
            coarsest_BCYX = streams[-1]
        joined_BCYX = torch.cat([resize_like(stream, streams[0]) for stream in streams], dim=1)
        return resize_like(self.classifier(joined_BCYX), image_BCYX)


def _convolved(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    layers = convolution(in_channels, out_channels, size=3, stride=stride)
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Return what brings a stream to another one's channels, and down to its resolution."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(*convolution(widths[source], widths[target], size=1))
    width = widths[source]
    halvings = [_convolved(width, width, stride=2) for _ in range(target - source - 1)]
    last = convolution(width, widths[target], size=3, stride=2)
    return nn.Sequential(*halvings, *last)

"""Sym-TransNet lite: the same idea for one CPU core, the paper's own outlook.

Against the full network: neighbouring slices and several windows as channels, a stem that halves
the image before the three halvings of the encoder, so that only (image_size / 16)^2 tokens attend
to each other, and few, narrow layers. The classifier undoes the stem: it computes the logits of
four pixels in each place (sub-pixel convolution, Shi et al. 2016), for thin layers of blood are
narrower than a place at half resolution.

Axes: B batch, C channel, Y row, X column, N tokens, D width.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.models.blocks import (
    ConvBlock,
    enlarge,
    require_heads,
    require_positive,
    require_shape,
)
from ml.models.symmetric_transformer import Mirroring, SymmetricTransformerLayer, mirror_tokens
from ml.volume import NUM_CLASSES

STEM_STRIDE: int = 2
NUM_POOLINGS: int = 3

TOKEN_STRIDE: int = STEM_STRIDE * 2**NUM_POOLINGS
"""Pixels a token stands for, along rows and along columns."""


@dataclass(frozen=True)
class SymTransNetLiteConfig:
    """Every choice of the network.

    Attributes
    ----------
    in_channels
        Windows times neighbouring slices: `InputSpec.num_channels`.
    image_size
        Rows and columns of the input; fixes the number of tokens, (image_size / 16)^2.
    base_width
        Channels C at half resolution; the stages below have 2C, 4C and 8C.
    token_width, num_layers, num_heads, mlp_ratio
        Of the transformer.
    mirroring
        What a layer reads from the mirrored tokens.
    num_classes
        Background and the subtypes.
    """

    in_channels: int
    image_size: int = 256
    base_width: int = 24
    token_width: int = 192
    num_layers: int = 4
    num_heads: int = 4
    mlp_ratio: int = 2
    mirroring: Mirroring = Mirroring.KEYS
    num_classes: int = NUM_CLASSES

    def __post_init__(self) -> None:
        """Refuse an image that does not divide into tokens, and what makes no transformer."""
        require_positive(self, "in_channels", "image_size", "base_width", "num_classes")
        require_positive(self, "token_width", "num_heads", "mlp_ratio")
        require_positive(self, "num_layers", least=0)
        if self.num_layers:
            require_heads(self.token_width, self.num_heads)
        if self.image_size % TOKEN_STRIDE:
            raise ValueError(f"image_size {self.image_size} is not divisible by {TOKEN_STRIDE}")


class LiteTransformer(nn.Module):
    """Symmetric layers around a residual connection; position as the sum of row and column."""

    def __init__(self, config: SymTransNetLiteConfig) -> None:
        super().__init__()
        side = config.image_size // TOKEN_STRIDE
        channels, width = config.base_width * 2**NUM_POOLINGS, config.token_width
        self.embedding = nn.Linear(channels, width)
        self.row_position_Y1D = nn.Parameter(torch.randn(side, 1, width) * 0.02)
        self.column_position_XD = nn.Parameter(torch.randn(side, width) * 0.02)
        self.layers = nn.ModuleList(
            SymmetricTransformerLayer(width, config.num_heads, config.mlp_ratio, config.mirroring)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, channels)

    def forward(self, feature_BCYX: Tensor) -> Tensor:
        """Map (B, 8C, Y/16, X/16) to the same shape."""
        columns = feature_BCYX.shape[3]
        position_ND = (self.row_position_Y1D + self.column_position_XD).flatten(0, 1)
        tokens_BND = self.embedding(feature_BCYX.flatten(2).transpose(1, 2)) + position_ND
        for layer in self.layers:
            tokens_BND = layer(tokens_BND, mirror_tokens(tokens_BND, columns))
        projected_BNC: Tensor = self.projection(self.norm(tokens_BND))
        return feature_BCYX + projected_BNC.transpose(1, 2).reshape(feature_BCYX.shape)


class SymTransNetLite(nn.Module):
    """Stem, encoder, symmetric transformer, and a decoder that joins its skips as channels.

    Softmax is left to the loss and to inference: the network returns logits.
    """

    def __init__(self, config: SymTransNetLiteConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.base_width * 2**i for i in range(NUM_POOLINGS + 1)]
        self.stem = nn.Sequential(
            nn.Conv2d(config.in_channels, widths[0], 4, stride=STEM_STRIDE, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.encoder = nn.ModuleList([ConvBlock(widths[0], widths[0])])
        for before, after in pairwise(widths):
            self.encoder.append(ConvBlock(before, after, num_convolutions=2))
        self.transformer = LiteTransformer(config) if config.num_layers else nn.Identity()
        shallower = list(reversed(widths[:-1]))
        self.narrowings = nn.ModuleList(nn.Conv2d(2 * w, w, 1) for w in shallower)
        self.decoder = nn.ModuleList(ConvBlock(2 * w, w) for w in shallower)
        self.classifier = nn.Sequential(
            nn.Conv2d(widths[0], config.num_classes * STEM_STRIDE**2, 3, padding=1),
            nn.PixelShuffle(STEM_STRIDE),
        )

    def forward(self, image_BCYX: Tensor) -> Tensor:
        """Segment slices.

        Parameters
        ----------
        image_BCYX
            Shape (B, in_channels, image_size, image_size), aligned and standardised.

        Returns
        -------
        Tensor
            Shape (B, num_classes, image_size, image_size), logits.

        Raises
        ------
        ValueError
            If the image has another shape.
        """
        config = self.config
        require_shape(
            image_BCYX, channels=config.in_channels, multiple=TOKEN_STRIDE, size=config.image_size
        )
        feature_BCYX = self.stem(image_BCYX)
        skips: list[Tensor] = []
        for i, stage in enumerate(self.encoder):
            feature_BCYX = stage(feature_BCYX)
            if i < NUM_POOLINGS:
                skips.append(feature_BCYX)
                feature_BCYX = functional.max_pool2d(feature_BCYX, 2)
        feature_BCYX = self.transformer(feature_BCYX)
        for narrow, stage, skip_BCYX in zip(
            self.narrowings, self.decoder, reversed(skips), strict=True
        ):
            feature_BCYX = stage(torch.cat([enlarge(narrow(feature_BCYX)), skip_BCYX], dim=1))
        logits_BCYX: Tensor = self.classifier(feature_BCYX)
        return logits_BCYX

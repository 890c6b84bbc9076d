"""Sym-TransNet: a U-Net with a symmetric transformer at its narrowest place.

Nijiati et al. 2022, Front. Physiol. 13:977427. The paper leaves depth, heads, embeddings and the
moment of the flip open; each is a field of `SymTransNetConfig`, and the defaults are our reading:
42.93 million parameters where the paper reports 43.06.

Axes: B batch, C channel, Y row, X column, N tokens, D width.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.models.blocks import ConvBlock, enlarge
from ml.models.symmetric_transformer import Mirroring, SymmetricTransformerLayer, mirror_tokens
from ml.volume import NUM_CLASSES

NUM_POOLINGS: int = 3
"""The encoder halves the image three times: B x C x H x W to B x 8C x H/8 x W/8."""

TOKEN_STRIDE: int = 2**NUM_POOLINGS
"""Pixels a token stands for, along rows and along columns."""


class MirrorMoment(StrEnum):
    """When the mirrored tokens Z~ are made."""

    ONCE = "once"
    """Before the first layer; all layers take their keys from the same Z~."""
    EACH_LAYER = "each_layer"
    """Each layer mirrors its own input, the first one the embedded feature map."""


class PositionOfMirrored(StrEnum):
    """Which position embedding a mirrored token carries."""

    WHERE_IT_WAS = "where_it_was"
    """Position is added first and flipped along."""
    WHERE_IT_LANDS = "where_it_lands"
    """Position is added after the flip."""


@dataclass(frozen=True)
class SymTransNetConfig:
    """Every choice of the network.

    Attributes
    ----------
    in_channels
        Channels of the input; the paper has one, the brain window.
    image_size
        Rows and columns of the input; fixes the number of tokens, (image_size / 8)^2.
    base_width
        Channels C of the first stage; the stages have C, 2C, 4C and 8C.
    num_layers, num_heads, mlp_ratio
        Of the transformer, whose width is 8C. No layer at all gives the U-Net alone.
    mirroring
        What a layer reads from the mirrored tokens.
    mirror_moment
        When the mirrored tokens are made.
    position_of_mirrored
        Which position embedding they carry.
    shares_embedding
        Whether the mirrored feature map is embedded by the same weights as the map itself.
    num_classes
        Background and the subtypes.
    """

    in_channels: int = 1
    image_size: int = 512
    base_width: int = 64
    num_layers: int = 12
    num_heads: int = 8
    mlp_ratio: int = 4
    mirroring: Mirroring = Mirroring.KEYS
    mirror_moment: MirrorMoment = MirrorMoment.EACH_LAYER
    position_of_mirrored: PositionOfMirrored = PositionOfMirrored.WHERE_IT_WAS
    shares_embedding: bool = False
    num_classes: int = NUM_CLASSES

    def __post_init__(self) -> None:
        """Refuse an image that cannot be halved three times."""
        if self.image_size % TOKEN_STRIDE:
            raise ValueError(f"image_size {self.image_size} is not divisible by {TOKEN_STRIDE}")

    @property
    def token_columns(self) -> int:
        """Columns, and rows, of the token grid."""
        return self.image_size // TOKEN_STRIDE


class SymmetricTransformer(nn.Module):
    """Embed a feature map, pass the symmetric layers, and shape a feature map again."""

    def __init__(self, config: SymTransNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.base_width * 2**NUM_POOLINGS
        self.embedding = nn.Linear(width, width)
        separate = not config.shares_embedding and config.mirroring is not Mirroring.NONE
        self.mirrored_embedding = nn.Linear(width, width) if separate else None
        self.position_1ND = nn.Parameter(torch.zeros(1, config.token_columns**2, width))
        nn.init.trunc_normal_(self.position_1ND, std=0.02)
        self.layers = nn.ModuleList(
            SymmetricTransformerLayer(width, config.num_heads, config.mlp_ratio, config.mirroring)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, feature_BCYX: Tensor) -> Tensor:
        """Map (B, 8C, Y/8, X/8) to the same shape."""
        columns = self.config.token_columns
        feature_BND = feature_BCYX.flatten(2).transpose(1, 2)
        tokens_BND = self.embedding(feature_BND) + self.position_1ND
        mirrored_BND = self._embed_mirrored(feature_BND)
        for i, layer in enumerate(self.layers):
            if i > 0 and self.config.mirror_moment is MirrorMoment.EACH_LAYER:
                mirrored_BND = mirror_tokens(tokens_BND, columns)
            tokens_BND = layer(tokens_BND, mirrored_BND)
        normed_BND: Tensor = self.norm(tokens_BND)
        return normed_BND.transpose(1, 2).reshape(feature_BCYX.shape)

    def _embed_mirrored(self, feature_BND: Tensor) -> Tensor:
        columns = self.config.token_columns
        embed = self.embedding if self.mirrored_embedding is None else self.mirrored_embedding
        position_1ND: Tensor = self.position_1ND
        if self.config.position_of_mirrored is PositionOfMirrored.WHERE_IT_WAS:
            position_1ND = mirror_tokens(position_1ND, columns)
        embedded_BND: Tensor = embed(mirror_tokens(feature_BND, columns)) + position_1ND
        return embedded_BND


class SymTransNet(nn.Module):
    """Encoder, symmetric transformer, decoder with additive skip connections, 1x1 classifier.

    Softmax is left to the loss and to inference: the network returns logits.
    """

    def __init__(self, config: SymTransNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.base_width * 2**i for i in range(NUM_POOLINGS + 1)]
        inputs = [config.in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(map(ConvBlock, inputs, widths))
        self.transformer = SymmetricTransformer(config) if config.num_layers else nn.Identity()
        shallower = list(reversed(widths[:-1]))
        self.narrowings = nn.ModuleList(nn.Conv2d(2 * w, w, 1) for w in shallower)
        self.decoder = nn.ModuleList(ConvBlock(w, w) for w in shallower)
        self.classifier = nn.Conv2d(config.base_width, config.num_classes, 1)

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
        """
        feature_BCYX = image_BCYX
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
            feature_BCYX = stage(enlarge(narrow(feature_BCYX)) + skip_BCYX)
        logits_BCYX: Tensor = self.classifier(feature_BCYX)
        return logits_BCYX

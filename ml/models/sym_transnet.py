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

from ml.models.blocks import require_heads, require_positive
from ml.models.symmetric_transformer import Mirroring, SymmetricTransformerLayer, mirror_tokens
from ml.models.unet import UNET_STRIDE, EncoderDecoder, UNetConfig, widths_of

TOKEN_STRIDE: int = UNET_STRIDE
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
class SymTransNetConfig(UNetConfig):
    """Every choice of the network; those of `UNetConfig`, and of the transformer.

    Attributes
    ----------
    image_size
        Rows and columns of the input; fixes the number of tokens, (image_size / 8)^2.
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
    """

    image_size: int = 512
    num_layers: int = 12
    num_heads: int = 8
    mlp_ratio: int = 4
    mirroring: Mirroring = Mirroring.KEYS
    mirror_moment: MirrorMoment = MirrorMoment.EACH_LAYER
    position_of_mirrored: PositionOfMirrored = PositionOfMirrored.WHERE_IT_WAS
    shares_embedding: bool = False

    def __post_init__(self) -> None:
        """Refuse an image that cannot be halved three times, and what makes no transformer."""
        super().__post_init__()
        require_positive(self, "image_size", "num_heads", "mlp_ratio")
        require_positive(self, "num_layers", least=0)
        if self.image_size % TOKEN_STRIDE:
            raise ValueError(f"image_size {self.image_size} is not divisible by {TOKEN_STRIDE}")
        if self.num_layers:
            require_heads(self.token_width, self.num_heads)

    @property
    def token_columns(self) -> int:
        """Columns, and rows, of the token grid."""
        return self.image_size // TOKEN_STRIDE

    @property
    def token_width(self) -> int:
        """Width D of a token: the channels of the deepest map, 8C."""
        return widths_of(self.base_width)[-1]


class SymmetricTransformer(nn.Module):
    """Embed a feature map, pass the symmetric layers, and shape a feature map again."""

    def __init__(self, config: SymTransNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.token_width
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
        plain = self.config.mirroring is Mirroring.NONE
        mirrored_BND = tokens_BND if plain else self._embed_mirrored(feature_BND)
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


class SymTransNet(EncoderDecoder):
    """The U-Net, its deepest map passed through the symmetric transformer."""

    def __init__(self, config: SymTransNetConfig) -> None:
        bridge = SymmetricTransformer(config) if config.num_layers else None
        super().__init__(config, bridge=bridge, image_size=config.image_size)
        self.config = config

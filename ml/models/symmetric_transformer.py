"""The symmetric transformer: attention that compares each place with the mirrored brain.

Nijiati et al. 2022, Front. Physiol. 13:977427, equations 1 to 6. Axes: B batch, N tokens (row by
row), D width, H heads, Y row, X column.
"""

from enum import StrEnum

from torch import Tensor, nn
from torch.nn import functional

from ml.models.blocks import require_heads


class Mirroring(StrEnum):
    """What of a layer is read from the tokens of the mirrored feature map."""

    NONE = "none"
    """Nothing: plain self-attention, the paper's ablation "U-Net + transformer"."""
    KEYS = "keys"
    """The keys alone: the symmetric prior of the paper (equation 2)."""
    KEYS_AND_VALUES = "keys_and_values"
    """Both. A mere permutation of the tokens, thus the same as NONE; kept to show just that."""


def mirror_tokens(tokens_BND: Tensor, columns: int) -> Tensor:
    """Exchange the left and the right half of the feature map that the tokens stand for."""
    batch, num_tokens, width = tokens_BND.shape
    grid_BYXD = tokens_BND.reshape(batch, num_tokens // columns, columns, width)
    return grid_BYXD.flip(2).reshape(batch, num_tokens, width)


class SymmetricAttention(nn.Module):
    """Multi-head attention whose keys come from mirrored tokens.

    Q = Z W_Q, V = Z W_V (equations 1 and 3), K = Z~ W_K with the mirrored tokens Z~ (equation 2),
    softmax(Q K^T / sqrt(d)) V in each head (equation 4).

    A query is thus matched with what lies on the *other* side of the brain, and fetches the value
    of *this* side: a place that looks unlike its counterpart gets another answer than it would
    from itself. If values were mirrored too, the mirroring would cancel out.
    """

    def __init__(self, width: int, num_heads: int, mirroring: Mirroring) -> None:
        super().__init__()
        require_heads(width, num_heads)
        self.num_heads = num_heads
        self.mirroring = mirroring
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width)

    def forward(self, tokens_BND: Tensor, mirrored_BND: Tensor) -> Tensor:
        """Attend from each token to all; `mirrored_BND` are the tokens of the mirrored map."""
        keys_from = tokens_BND if self.mirroring is Mirroring.NONE else mirrored_BND
        both = self.mirroring is Mirroring.KEYS_AND_VALUES
        attended_BHND = functional.scaled_dot_product_attention(
            self._split(self.query(tokens_BND)),
            self._split(self.key(keys_from)),
            self._split(self.value(mirrored_BND if both else tokens_BND)),
        )
        joined_BND: Tensor = self.output(attended_BHND.transpose(1, 2).flatten(2))
        return joined_BND

    def _split(self, tokens_BND: Tensor) -> Tensor:
        """Give each head its share of the width: (B, H, N, D/H)."""
        batch, num_tokens, width = tokens_BND.shape
        shape = (batch, num_tokens, self.num_heads, width // self.num_heads)
        return tokens_BND.reshape(shape).transpose(1, 2)


class SymmetricTransformerLayer(nn.Module):
    """Symmetric attention and a perceptron, each around a residual connection.

    Y~ = attention(LN(X)) + X (equation 6), Y = MLP(LN(Y~)) + Y~ (equation 5).

    Parameters
    ----------
    width, num_heads
        Width D of a token, and into how many heads attention splits it.
    mlp_ratio
        Hidden width of the perceptron as a multiple of `width`.
    mirroring
        What is read from the mirrored tokens.
    """

    def __init__(
        self, width: int, num_heads: int, mlp_ratio: int, mirroring: Mirroring = Mirroring.KEYS
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SymmetricAttention(width, num_heads, mirroring)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, width * mlp_ratio), nn.GELU(), nn.Linear(width * mlp_ratio, width)
        )

    def forward(self, tokens_BND: Tensor, mirrored_BND: Tensor) -> Tensor:
        """Pass one layer; both arguments and the result have the shape (B, N, D)."""
        attended_BND = self.attention(
            self.attention_norm(tokens_BND), self.attention_norm(mirrored_BND)
        )
        tokens_BND = tokens_BND + attended_BND
        passed_BND: Tensor = tokens_BND + self.mlp(self.mlp_norm(tokens_BND))
        return passed_BND

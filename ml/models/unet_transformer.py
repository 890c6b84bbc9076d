"""U-Net + transformer: Sym-TransNet without its symmetric prior, the ablation's second row.

Nijiati et al. 2022, ablation study: keys come from the tokens themselves, as in any transformer.

Axes: B batch, C channel, Y row, X column.
"""

from dataclasses import dataclass

from ml.models.sym_transnet import SymTransNet, SymTransNetConfig
from ml.models.symmetric_transformer import Mirroring


@dataclass(frozen=True)
class UNetTransformerConfig(SymTransNetConfig):
    """Every choice of the network; those of `SymTransNetConfig`, of which mirroring is made."""

    mirroring: Mirroring = Mirroring.NONE

    def __post_init__(self) -> None:
        """Refuse what would make another network of it."""
        super().__post_init__()
        if self.mirroring is not Mirroring.NONE:
            raise ValueError(f"mirroring is {self.mirroring}; with it, this is sym-transnet")


class UNetTransformer(SymTransNet):
    """The U-Net, its deepest map passed through a plain transformer."""

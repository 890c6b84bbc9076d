"""The loss: cross-entropy plus Dice, as in the paper.

Its equation 7 prints the union where Dice has the sum of both areas; this is Dice.
"""

import torch
from monai.losses.dice import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

from ml.training.datasets import UNNAMED

# Axes: B batch, C class, Y row, X column

_LEFT_OUT = -100
"""Label of a pixel that cross-entropy does not look at."""


class SegmentationLoss(nn.Module):
    """Weighted cross-entropy, plus one minus the Dice ratio averaged over the subtypes present.

    The Dice ratio of a subtype is taken over the whole batch. Subtypes that are absent from it are
    left to cross-entropy: a Dice ratio of nothing rewards silence, and a young network then falls
    silent for good.

    Where blood is labelled `UNNAMED`, the probabilities of all subtypes together are what
    cross-entropy rewards, with the mean of their weights; a slice with such blood has no part in
    the Dice ratios.

    Parameters
    ----------
    class_weights
        Of cross-entropy: background and the subtypes.
    """

    def __init__(self, class_weights: tuple[float, ...]) -> None:
        super().__init__()
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.tensor(class_weights))
        self.dice = DiceLoss(
            include_background=False,
            softmax=True,
            to_onehot_y=True,
            batch=True,
            reduction="none",
            smooth_nr=1.0,
            smooth_dr=1.0,
        )

    def forward(self, logits_BCYX: Tensor, labels_BYX: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        unnamed_BYX = labels_BYX == UNNAMED
        if not unnamed_BYX.any():
            entropy = functional.cross_entropy(logits_BCYX, labels_BYX, weight=self.class_weights)
            return entropy + self._dice_of(logits_BCYX, labels_BYX)
        named_B = ~unnamed_BYX.flatten(1).any(dim=1)
        entropy = self._entropy_of_any(logits_BCYX, labels_BYX, unnamed_BYX)
        return entropy + self._dice_of(logits_BCYX[named_B], labels_BYX[named_B])

    def _dice_of(self, logits_BCYX: Tensor, labels_BYX: Tensor) -> Tensor:
        present = torch.bincount(labels_BYX.flatten(), minlength=len(self.class_weights))[1:] > 0
        if not present.any():
            return logits_BCYX.new_zeros(())
        dice_C: Tensor = self.dice(logits_BCYX, labels_BYX[:, None]).flatten()
        return dice_C[present].mean()

    def _entropy_of_any(
        self, logits_BCYX: Tensor, labels_BYX: Tensor, unnamed_BYX: Tensor
    ) -> Tensor:
        """Cross-entropy where a label may stand for all subtypes together."""
        weight = self.class_weights
        labels_BYX = labels_BYX.masked_fill(unnamed_BYX, _LEFT_OUT)
        named_BYX = ~unnamed_BYX
        of_named = functional.cross_entropy(
            logits_BCYX, labels_BYX, weight=weight, ignore_index=_LEFT_OUT, reduction="sum"
        )
        some_BYX = logits_BCYX.logsumexp(dim=1) - logits_BCYX[:, 1:].logsumexp(dim=1)
        of_unnamed = weight[1:].mean() * some_BYX[unnamed_BYX].sum()
        whole = weight[labels_BYX[named_BYX]].sum() + weight[1:].mean() * unnamed_BYX.sum()
        return (of_named + of_unnamed) / whole

"""The loss: cross-entropy plus Dice, as in the paper.

Its equation 7 prints the union where Dice has the sum of both areas; this is Dice.
"""

import torch
from monai.losses.dice import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

# Axes: B batch, C class, Y row, X column


class SegmentationLoss(nn.Module):
    """Weighted cross-entropy, plus one minus the Dice ratio averaged over the subtypes present.

    The Dice ratio of a subtype is taken over the whole batch. Subtypes that are absent from it are
    left to cross-entropy: a Dice ratio of nothing rewards silence, and a young network then falls
    silent for good.

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
        entropy = functional.cross_entropy(logits_BCYX, labels_BYX, weight=self.class_weights)
        present = torch.bincount(labels_BYX.flatten(), minlength=len(self.class_weights))[1:] > 0
        if not present.any():
            return entropy
        dice_C: Tensor = self.dice(logits_BCYX, labels_BYX[:, None]).flatten()
        return entropy + dice_C[present].mean()

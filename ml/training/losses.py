"""The loss: cross-entropy plus Dice, as in the paper.

Its equation 7 prints the union where Dice has the sum of both areas; this is Dice.
"""

import torch
from monai.losses.dice import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

# Axes: B batch, C class, Y row, X column


class SegmentationLoss(nn.Module):
    """Weighted cross-entropy, plus one minus the Dice ratio averaged over the subtypes.

    Parameters
    ----------
    class_weights
        Of cross-entropy: background and the subtypes.
    dice_smoothing
        Pixels added to both sides of the Dice ratio, which is taken over the whole batch.
    """

    def __init__(self, class_weights: tuple[float, ...], dice_smoothing: float) -> None:
        super().__init__()
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.tensor(class_weights))
        self.dice = DiceLoss(
            include_background=False,
            softmax=True,
            to_onehot_y=True,
            batch=True,
            smooth_nr=dice_smoothing,
            smooth_dr=dice_smoothing,
        )

    def forward(self, logits_BCYX: Tensor, labels_BYX: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        entropy = functional.cross_entropy(logits_BCYX, labels_BYX, weight=self.class_weights)
        dice: Tensor = self.dice(logits_BCYX, labels_BYX[:, None])
        return entropy + dice

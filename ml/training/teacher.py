"""Learning from patients without labels: the mean teacher (Tarvainen and Valpola 2017).

The teacher is the network with the moving average of the weights. On slices that nobody labelled
the student shall say what the teacher says of the same slice, though each of them sees it with
another brightness, contrast and noise. Nothing is learned from the teacher at first: it knows
nothing yet.
"""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from config.errors import UsageError
from ml.training.datasets import Case, Splits
from ml.training.recipes import Consistency

# Axes: B batch, C class, Y row, X column


def divide(
    splits: Splits, consistency: Consistency | None
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Say whose labels are learned from, and on whom the student follows the teacher.

    Returns
    -------
    labelled, unlabelled : tuple of Case
        The first `Consistency.num_labelled` patients, and all others with those of
        `Splits.unlabelled`; without a teacher, all patients for training and none.

    Raises
    ------
    UsageError
        If there is a teacher, but either part is empty.
    """
    if consistency is None:
        return splits.train, ()
    number = consistency.num_labelled or len(splits.train)
    labelled, unlabelled = splits.train[:number], (*splits.train[number:], *splits.unlabelled)
    if not labelled or not unlabelled:
        raise UsageError(
            f"a mean teacher needs patients with and without labels; there are {len(labelled)} "
            f"and {len(unlabelled)}"
        )
    return labelled, unlabelled


def consistency_loss(student_BCYX: Tensor, teacher_BCYX: Tensor) -> Tensor:
    """Mean squared difference of the probabilities; gradients go to the student alone.

    Parameters
    ----------
    student_BCYX, teacher_BCYX
        Logits of the same slices.
    """
    return functional.mse_loss(
        student_BCYX.float().softmax(dim=1), teacher_BCYX.detach().float().softmax(dim=1)
    )


def consistency_weight(consistency: Consistency, step: int) -> float:
    """Weight of `consistency_loss` in a step: a bell's rising half (their section 3.1)."""
    missing = 1 - min(1.0, step / max(consistency.ramp_up_steps, 1))
    return consistency.weight * math.exp(-5 * missing**2)


def count(labelled: Sequence[Case], unlabelled: Sequence[Case]) -> str:
    """Say in words how many patients there are of each kind."""
    return f"{len(labelled)} patients with labels, {len(unlabelled)} without"

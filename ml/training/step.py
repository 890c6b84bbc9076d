"""One step: a batch in, weights moved, the loss out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ml.inference import Precision
from ml.training.batches import draw_batch, draw_twice, index_slices
from ml.training.datasets import Case
from ml.training.distributed import Team, check_shares, shared
from ml.training.losses import SegmentationLoss
from ml.training.optimisation import computing, suitable_attention
from ml.training.recipes import Recipe
from ml.training.state import TrainingState, follow
from ml.training.teacher import consistency_loss, consistency_weight

# Axes: B batch, C channel or class, Y row, X column

_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True, eq=False)
class Batch:
    """What one process sees in one step.

    Attributes
    ----------
    images, labels
        Shapes (B, C, Y, X) and (B, Y, X), as `draw_batch` makes them.
    for_student, for_teacher
        Shape (B, C, Y, X), as `draw_twice` makes them; None without a teacher.
    """

    images: Tensor
    labels: Tensor
    for_student: Tensor | None = None
    for_teacher: Tensor | None = None


def batch_maker(
    labelled: Sequence[Case], unlabelled: Sequence[Case], recipe: Recipe, team: Team
) -> Callable[[int], Batch]:
    """Return a function from the number of a step to the share of its batch.

    Raises
    ------
    UsageError
        If batches cannot be shared out evenly.
    """
    index, consistency = index_slices(labelled), recipe.consistency
    share = {"rank": team.rank, "num_ranks": team.size}
    check_shares(team, recipe.batch_size)

    def make(step: int) -> Batch:
        return Batch(*draw_batch(labelled, index, recipe, step, **share))

    if consistency is None:
        return make
    check_shares(team, consistency.batch_size)

    def make_with_unlabelled(step: int) -> Batch:
        drawn = make(step)
        twice = draw_twice(unlabelled, recipe, consistency.batch_size, step, **share)
        return Batch(drawn.images, drawn.labels, *twice)

    return make_with_unlabelled


class Stepper:
    """Learns from one batch after the other.

    Parameters
    ----------
    recipe, state
        What is learned, and what of it is there already; each call moves the state.
    device, precision
        Where and how numbers are computed.
    team
        Who else has a share in each step.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: TrainingState,
        *,
        device: torch.device,
        precision: Precision,
        team: Team,
    ) -> None:
        self.recipe, self.state, self.team = recipe, state, team
        self.device, self.precision = device, precision
        self._model = shared(state.model, team, device)
        self._loss_of = SegmentationLoss(recipe.class_weights).to(device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision is Precision.FP16)
        if state.loss_scale:
            self._scaler.load_state_dict(dict(state.loss_scale))

    def __call__(self, batch: Batch, rate: float) -> float:
        """Learn from a batch; return its loss before that, the whole team's."""
        state, recipe = self.state, self.recipe
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        # a network may draw numbers of its own: they too depend on the step alone
        torch.manual_seed(recipe.seed + state.step + 1)
        state.model.train()
        with suitable_attention(recipe, self.device):
            supervised, consistency = self._losses(batch)
            state.optimiser.zero_grad(set_to_none=True)
            # gradients are averaged over the team, but the loss of a batch is a whole
            scaled = self._scaler.scale(supervised * self.team.size + consistency)
            torch.autograd.backward(scaled)
        self._scaler.unscale_(state.optimiser)
        nn.utils.clip_grad_norm_(state.model.parameters(), _LARGEST_GRADIENT)
        self._scaler.step(state.optimiser)
        self._scaler.update()
        state.loss_scale = self._scaler.state_dict()
        follow(state.average, state.model, recipe.average_decay, state.step)
        state.step += 1
        return supervised.item() + self.team.mean(consistency.item())

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the loss on labels, and the weighted one on what the teacher says."""
        image_BCYX, consistency = batch.images, self.recipe.consistency
        if batch.for_student is not None:
            image_BCYX = torch.cat((image_BCYX, batch.for_student))
        with computing(self.precision, self.device):
            logits_BCYX = self._model(self._placed(image_BCYX))
        num_labelled = len(batch.labels)
        whole = self.team.whole_batch(
            logits_BCYX[:num_labelled].float(), batch.labels.to(self.device)
        )
        supervised: Tensor = self._loss_of(*whole)
        if batch.for_teacher is None or consistency is None:
            return supervised, supervised.new_zeros(())
        with computing(self.precision, self.device), torch.no_grad():
            taught_BCYX = self.state.average(self._placed(batch.for_teacher))
        weight = consistency_weight(consistency, self.state.step)
        return supervised, weight * consistency_loss(logits_BCYX[num_labelled:], taught_BCYX)

    def _placed(self, image_BCYX: Tensor) -> Tensor:
        return image_BCYX.to(self.device, memory_format=torch.channels_last)

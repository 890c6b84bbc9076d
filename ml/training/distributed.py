"""Several processes, one training: what they compute together is what one alone would compute.

Each process gets its share of the slices of a step. Three things would make the result differ from
that of one process, and are shared: the gradients (DistributedDataParallel), the statistics of
batch normalisation, and the loss, whose Dice ratios and class weights are over the whole batch.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from config.errors import UsageError

# Axes: B batch, C channel or class, Y row, X column

_PATIENCE = timedelta(hours=12)
"""The first process may make thousands of patients while the others wait."""


@dataclass(frozen=True)
class Team:
    """The processes that train together; one alone is a team too.

    Attributes
    ----------
    rank
        Which of them this one is; the first, 0, writes the files.
    size
        How many they are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all have come here."""
        if self.size > 1:
            distributed.barrier()

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up what each process has, element by element."""
        if self.size == 1:
            return values
        summed = torch.from_numpy(values.copy())
        if distributed.get_backend() == "nccl":
            summed = summed.cuda()
        distributed.all_reduce(summed)
        return summed.cpu().numpy()

    def mean(self, value: float) -> float:
        """Mean of what each process has."""
        return float(self.total(np.array(value))) / self.size

    def whole_batch(self, logits_BCYX: Tensor, labels_BYX: Tensor) -> tuple[Tensor, Tensor]:
        """Join the shares of all processes; gradients go back through the own share alone."""
        if self.size == 1:
            return logits_BCYX, labels_BYX
        logits, labels = _gather(logits_BCYX, self.size), _gather(labels_BYX, self.size)
        logits[self.rank] = logits_BCYX
        return torch.cat(logits), torch.cat(labels)


ALONE = Team()


@contextmanager
def team_of_torchrun(device: torch.device) -> Iterator[Team]:
    """Join the processes that ``torchrun`` started; without it, be a team of one.

    Raises
    ------
    UsageError
        If the team cannot meet.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            "the processes of this training do not find each other; start them with torchrun"
        ) from error
    try:
        yield Team(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def own_device(device: str) -> str:
    """Give each process of a team the GPU of its number on its machine."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device


def check_shares(team: Team, *batch_sizes: int) -> None:
    """Refuse batches that cannot be shared out evenly.

    Raises
    ------
    UsageError
        If the number of processes does not divide a batch.
    """
    for size in batch_sizes:
        if size % team.size:
            raise UsageError(f"a batch of {size} slices cannot be shared out to {team.size}")


def shared(model: nn.Module, team: Team, device: torch.device) -> nn.Module:
    """Let a network be trained by a team; its parameters stay the same objects.

    Returns
    -------
    nn.Module
        To be called for the step; `model` itself for a team of one.
    """
    if team.size == 1:
        return model
    _share_statistics(model)
    return DistributedDataParallel(
        model, device_ids=[device.index] if device.type == "cuda" else None
    )


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the statistics of the whole batch of a team.

    torch's own SyncBatchNorm does this on GPUs alone.
    """

    def forward(self, feature_BCYX: Tensor) -> Tensor:
        """Normalise; in training by the whole batch, else by the running statistics."""
        if not self.training:
            return super().forward(feature_BCYX)
        wide_BCYX = feature_BCYX.float()
        # every share has the same size
        count = wide_BCYX[:, 0].numel() * distributed.get_world_size()
        mean_C = _sum_of_all(wide_BCYX.sum(dim=(0, 2, 3))) / count
        centred_BCYX = wide_BCYX - mean_C[:, None, None]
        variance_C = _sum_of_all(centred_BCYX.square().sum(dim=(0, 2, 3))) / count
        self._remember(mean_C.detach(), variance_C.detach(), count)
        normal_BCYX = centred_BCYX * (variance_C + self.eps).rsqrt()[:, None, None]
        scaled_BCYX = normal_BCYX * self.weight[:, None, None] + self.bias[:, None, None]
        return scaled_BCYX.to(feature_BCYX.dtype)

    def _remember(self, mean_C: Tensor, variance_C: Tensor, count: int) -> None:
        running = (self.running_mean, self.running_var, self.num_batches_tracked)
        if self.momentum is None or running[0] is None or running[1] is None:
            raise ValueError("running statistics with a momentum are what networks here have")
        running[0].lerp_(mean_C, self.momentum)
        running[1].lerp_(variance_C * count / (count - 1), self.momentum)
        if running[2] is not None:
            running[2].add_(1)


class _SumOfAll(torch.autograd.Function):
    """The sum over the team; every process uses it, so the gradient is a sum over them too."""

    @staticmethod
    def forward(_: Any, share: Tensor) -> Tensor:
        return _summed(share)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _sum_of_all(share: Tensor) -> Tensor:
    whole: Tensor = _SumOfAll.apply(share)  # type: ignore[no-untyped-call]
    return whole


def _summed(share: Tensor) -> Tensor:
    summed = share.contiguous().clone()
    distributed.all_reduce(summed)
    return summed


def _share_statistics(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            sharing = SharedBatchNorm2d(child.num_features, child.eps, child.momentum)
            # the same tensors: the optimiser and the state know them
            sharing.weight, sharing.bias = child.weight, child.bias
            sharing.running_mean, sharing.running_var = child.running_mean, child.running_var
            sharing.num_batches_tracked = child.num_batches_tracked
            setattr(module, name, sharing)
        else:
            _share_statistics(child)


def _gather(share: Tensor, size: int) -> list[Tensor]:
    whole = [torch.empty_like(share, memory_format=torch.contiguous_format) for _ in range(size)]
    distributed.all_gather(whole, share.detach().contiguous())
    return whole

"""What a training tells on its way: a log file, a bar at a terminal, pictures for TensorBoard."""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from config.errors import UsageError
from ml.training.logbook import Logbook
from ml.training.recipes import Recipe

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

BOARD_NAME = "tensorboard"
_TELL_EVERY = 50
_FORGET = 0.98
"""The loss at the bar is a moving average."""

Pictures = Iterable[tuple[str, NDArray[np.uint8]]]


class Record:
    """Everything that a training tells, by the one process that tells it.

    Parameters
    ----------
    out
        Folder of the training.
    recipe
        What is trained.
    step
        Steps that the state has done.
    silent
        True for a process of a team that does not lead: nothing is told.
    tensorboard
        Whether events for TensorBoard are written into ``out/tensorboard``.
    """

    def __init__(
        self, out: Path, recipe: Recipe, step: int, *, silent: bool, tensorboard: bool
    ) -> None:
        self._out, self._recipe, self._begin = out, recipe, step
        self._silent, self._wants_board = silent, tensorboard
        self._open = ExitStack()
        self._logbook: Logbook | None = None
        self._board: SummaryWriter | None = None
        self._bar: tuple[Progress, TaskID] | None = None
        self._loss: float | None = None

    def __enter__(self) -> Self:
        if self._silent:
            return self
        self._logbook = self._open.enter_context(Logbook(self._out, step=self._begin))
        if self._wants_board:
            self._board = _open_board(self._out / BOARD_NAME, self._begin)
            self._open.callback(self._board.close)
        if sys.stderr.isatty():
            self._bar = self._open.enter_context(_progress()), TaskID(0)
            self._bar[0].add_task(
                self._recipe.name,
                total=self._recipe.num_steps,
                completed=self._begin,
                loss="",
                dice="",
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def step(self, step: int, *, loss: float, rate: float) -> None:
        """Tell of a step that was done."""
        if self._logbook is None:
            return
        self._logbook.write(step, loss=loss, rate=rate)
        before = loss if self._loss is None else self._loss
        self._loss = _FORGET * before + (1 - _FORGET) * loss
        if self._bar is not None:
            progress, task = self._bar
            progress.update(task, completed=step, loss=f"loss {self._loss:.3f}")
        elif step % _TELL_EVERY == 0:
            logger.info("step %d of %d: loss %.4f", step, self._recipe.num_steps, self._loss)
        if self._board is not None:
            self._board.add_scalar("train/loss", loss, step)
            self._board.add_scalar("train/rate", rate, step)

    def validation(
        self, step: int, figures: Mapping[str, float], pictures: Callable[[], Pictures]
    ) -> None:
        """Tell of a validation; pictures are made only where somebody looks at them."""
        if self._logbook is None:
            return
        self._logbook.write(step, validation=dict(figures))
        if self._bar is not None:
            progress, task = self._bar
            progress.update(task, dice=f"Dice {figures['dice']:.3f}")
        else:
            told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            logger.info("step %d: validation %s", step, told)
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(f"validation/{name}", value, step)
            for name, picture in pictures():
                self._board.add_image(f"validation/{name}", picture, step, dataformats="HWC")
            self._board.flush()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[dice]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _open_board(folder: Path, step: int) -> "SummaryWriter":
    """Open TensorBoard's writer; what an interrupted training wrote beyond its state is hidden."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional
    except ImportError as error:
        raise UsageError(
            "tensorboard is not installed; install midline[train] or leave out --tensorboard"
        ) from error
    return SummaryWriter(str(folder), purge_step=step + 1)

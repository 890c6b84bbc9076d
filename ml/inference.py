"""From a volume to the raw mask with a loaded network; device and precision are chosen once."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from config.errors import AnalysisError, Reason, ResourceError, UsageError
from ml.align import Alignment, align
from ml.cavity import cranial_cavity, disbelieve_outside
from ml.checkpoint import ModelCard, load
from ml.familiarity import Familiarity, describe
from ml.preprocess import AlignedVolume, network_input, resample, restore
from ml.scoring import case_score
from ml.transfer import OnItsWay, slices_of, to_device
from ml.volume import NUM_CLASSES, Mask, Subtype, Volume

# Axes: Z slice, N slices of a batch, C class, S row and column of the aligned image


class Precision(StrEnum):
    """Number format in which the network computes."""

    AUTO = "auto"
    """What the device does well."""
    FP32 = "float32"
    BF16 = "bfloat16"
    FP16 = "float16"


class AnalysisCancelledError(AnalysisError):
    """The caller asked to stop before the analysis was done."""

    reason = Reason.UNSPECIFIED


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of a volume.

    Attributes
    ----------
    mask
        Most probable class of each voxel, on the grid of the source; nothing is left out yet.
    certainty_percent
        For each subtype in the mask: 100 times the mean probability that the network gives to it
        in its voxels, weighted by their volume. A score, not a probability.
    case_score
        `ml.scoring.case_score`, 0 to 1: mean probability of haemorrhage of any subtype over the
        most suspicious millilitre.
    alignment
        Where the midline was found.
    familiarity
        How like those of the training the volume is; None if the model's card does not know.
    """

    mask: Mask
    certainty_percent: Mapping[Subtype, float]
    case_score: float
    alignment: Alignment
    familiarity: Familiarity | None = None


class Segmenter:
    """A network on its device, ready for volumes.

    Attributes
    ----------
    card
        What the network is.
    device
        As torch names it: ``cpu`` or ``cuda:N``.
    precision
        Never `Precision.AUTO`.
    """

    def __init__(
        self,
        model: nn.Module,
        card: ModelCard,
        *,
        device: str,
        precision: Precision = Precision.AUTO,
        batch_slices: int = 8,
    ) -> None:
        """Put a network on a device.

        Parameters
        ----------
        model
            Takes (N, card.input.num_channels, S, S), returns logits (N, NUM_CLASSES, S, S).
        card
            Says what the network is shown.
        device, precision
            As `choose_device` and `choose_precision` take them.
        batch_slices
            Slices that go through the network together.

        Raises
        ------
        UsageError
            If the device is absent or cannot compute in this precision.
        """
        self.card = card
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self._batch_slices = batch_slices
        # a CPU that computes has no time for anything else
        self._batches_ahead = 0 if self.device == "cpu" else 1
        self._model = model.to(self.device).eval().requires_grad_(False)
        # torch's stubs leave this form out
        self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        device: str,
        precision: Precision = Precision.AUTO,
        threads: int = 0,
        batch_slices: int = 8,
    ) -> "Segmenter":
        """Load a network with its card.

        Parameters
        ----------
        path
            Of the weights, as `ml.checkpoint.save` wrote them.
        threads
            CPU threads of this whole process; 0 leaves the choice to the system.
        device, precision, batch_slices
            As in `Segmenter`.

        Raises
        ------
        ModelError
            If the weights cannot be loaded, or do not fit.
        UsageError
            If the device is absent or cannot compute in this precision.
        """
        if threads > 0:
            torch.set_num_threads(threads)
        chosen = choose_device(device)
        model, card = load(path, torch.device(chosen))
        return cls(model, card, device=chosen, precision=precision, batch_slices=batch_slices)

    def segment(
        self, volume: Volume, *, cancelled: Callable[[], bool] = lambda: False
    ) -> Prediction:
        """Segment a volume.

        Parameters
        ----------
        volume
            A head CT of at least two slices, in any orientation.
        cancelled
            Asked before each batch.

        Raises
        ------
        AnalysisCancelledError
            If `cancelled` said so.
        ResourceError
            If the host or the device has no memory left.
        """
        return self.segment_aligned(self.align(volume), cancelled=cancelled)

    def align(self, volume: Volume) -> AlignedVolume:
        """Find the midline of a volume, and resample it as the network sees it."""
        with _out_of_memory():
            return resample(volume, align(volume), self.card.input)

    def segment_aligned(
        self, aligned: AlignedVolume, *, cancelled: Callable[[], bool] = lambda: False
    ) -> Prediction:
        """Segment a volume that is in the canonical plane already.

        Parameters
        ----------
        aligned
            Resampled by the card's `InputSpec`.
        cancelled
            Asked before each batch.

        Returns
        -------
        Prediction
            On the source grid of `aligned`; the one that `segment` gives for the same alignment.

        Raises
        ------
        AnalysisCancelledError, ResourceError
            As in `segment`.
        ValueError
            If the volume was resampled by another specification.
        """
        with _out_of_memory():
            return self._predict(aligned, cancelled)

    def logits(
        self, aligned: AlignedVolume, *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Compute what the network itself says, before temperature and softmax.

        Parameters
        ----------
        aligned, cancelled
            As in `segment_aligned`.

        Yields
        ------
        slice_index : int
            In the order of the source.
        logits_CSS : NDArray
            Shape (NUM_CLASSES, S, S), float32, on the aligned grid.
        """
        yield from self._computed(aligned, cancelled, lambda logits_NCSS: logits_NCSS)

    def _predict(self, aligned: AlignedVolume, cancelled: Callable[[], bool]) -> Prediction:
        grid = aligned.grid
        aligned_ml = grid.slice_steps_mm * (aligned.spec.pixel_mm**2 / 1000)
        labels = np.zeros(grid.shape, np.uint8)
        suspicion: list[tuple[NDArray[np.float32], float]] = []
        cavity = cranial_cavity(aligned)
        said_ml, certain_ml = np.zeros((2, NUM_CLASSES))
        for index, probability_CSS in self._probabilities(aligned, cancelled):
            disbelieve_outside(probability_CSS, cavity[index])
            suspicion.append((1 - probability_CSS[0], float(aligned_ml[index])))
            # between aligned pixels that are all background, every source pixel is background
            if not (probability_CSS[0] < probability_CSS[1:].max(axis=0)).any():
                continue
            restored_CYX = torch.from_numpy(restore(probability_CSS, index, aligned))
            highest, said = (found.numpy() for found in restored_CYX.max(dim=0))
            labels[index] = said
            of, certainty = said[said > 0], highest[said > 0]
            said_ml += np.bincount(of, minlength=NUM_CLASSES) * grid.voxel_ml[index]
            certain_ml += np.bincount(of, certainty, NUM_CLASSES) * grid.voxel_ml[index]
        return Prediction(
            mask=Mask(labels, grid),
            certainty_percent={
                subtype: float(100 * certain_ml[subtype] / said_ml[subtype])
                for subtype in Subtype
                if said_ml[subtype] > 0
            },
            case_score=case_score(suspicion),
            alignment=aligned.alignment,
            familiarity=self._familiarity(aligned),
        )

    def _familiarity(self, aligned: AlignedVolume) -> Familiarity | None:
        model = self.card.familiarity
        return None if model is None else model.score(describe(aligned))

    def _probabilities(
        self, aligned: AlignedVolume, cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Compute the probabilities (C, S, S) of each slice, in the order of the source."""
        yield from self._computed(
            aligned,
            cancelled,
            lambda logits_NCSS: (logits_NCSS / self.card.temperature).softmax(dim=1),
        )

    def _computed(
        self,
        aligned: AlignedVolume,
        cancelled: Callable[[], bool],
        finish: Callable[[Tensor], Tensor],
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Run the network, and `finish` its logits on the device; each slice, in order (C, S, S).

        A GPU computes the next batch while the caller works on the slices of this one.
        """
        if aligned.spec != self.card.input:
            raise ValueError("the volume was resampled by another specification than the card's")
        count = len(aligned.hu)
        underway: deque[tuple[NDArray[np.intp], OnItsWay]] = deque()
        for first in range(0, count, self._batch_slices):
            if cancelled():
                raise AnalysisCancelledError(f"cancelled after {first} of {count} slices")
            slices = np.arange(first, min(first + self._batch_slices, count))
            underway.append((slices, self._run(network_input(aligned, slices), finish)))
            if len(underway) > self._batches_ahead:
                yield from slices_of(*underway.popleft())
        while underway:
            yield from slices_of(*underway.popleft())

    @torch.inference_mode()
    def _run(self, image_NCSS: NDArray[np.float32], finish: Callable[[Tensor], Tensor]) -> OnItsWay:
        image = to_device(torch.from_numpy(image_NCSS), self.device)
        dtype = torch.float16 if self.precision is Precision.FP16 else torch.bfloat16
        with torch.autocast(
            torch.device(self.device).type, dtype, enabled=self.precision is not Precision.FP32
        ):
            logits_NCSS: Tensor = self._model(image)
        return OnItsWay(finish(logits_NCSS.float()))


def choose_device(setting: str) -> str:
    """Turn the setting into a device that is there.

    Parameters
    ----------
    setting
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    UsageError
        If the setting is none of these, or if that GPU is not there.
    """
    count = torch.cuda.device_count()
    if setting == "auto":
        return "cuda:0" if count else "cpu"
    if setting == "cpu":
        return "cpu"
    asked = re.fullmatch(r"cuda(?::([0-9]+))?", setting)
    if asked is None:
        raise UsageError(f"device is {setting!r}; it must be auto, cpu, cuda or cuda:N")
    index = int(asked[1] or 0)
    if index >= count:
        raise UsageError(f"device is {setting!r}, but torch finds {count} CUDA devices here")
    return f"cuda:{index}"


def try_device(device: str) -> None:
    """Compute something small on a device.

    Raises
    ------
    ResourceError
        If that fails, or gives another result than it must.
    """
    try:
        ones = torch.ones(8, 8, device=device)
        total = float((ones @ ones).sum())
    except Exception as error:  # torch and drivers raise anything
        raise ResourceError(type(error).__name__) from error
    if total != 8.0**3:
        raise ResourceError("a wrong result")


def choose_precision(setting: Precision, device: str) -> Precision:
    """Turn the setting into a number format that the device has.

    Parameters
    ----------
    setting
        `Precision.AUTO` takes bfloat16 where the hardware has instructions for it, else float32.
    device
        As `choose_device` returns it.

    Raises
    ------
    UsageError
        If the device does not compute in this format.
    """
    on_cpu = device == "cpu"
    if setting is Precision.AUTO:
        return Precision.BF16 if _has_bfloat16(device) else Precision.FP32
    if setting is Precision.FP16 and on_cpu:
        raise UsageError("precision is 'float16', which needs a CUDA device")
    if setting is Precision.BF16 and not on_cpu and not _has_bfloat16(device):
        raise UsageError(f"precision is 'bfloat16', which {device} does not have")
    return setting


def _has_bfloat16(device: str) -> bool:
    if device == "cpu":
        # AVX-512 has it too, but measured slower than float32; AMX is what makes it fast
        return torch.cpu._is_amx_tile_supported()
    return torch.cuda.get_device_capability(device)[0] >= 8


@contextmanager
def _out_of_memory() -> Iterator[None]:
    """Turn what torch and numpy raise without memory into our error."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ResourceError("no memory left for the analysis") from error
    except RuntimeError as error:
        # torch has no class of its own for the CPU
        if "not enough memory" in str(error):
            raise ResourceError("no memory left on the host for the analysis") from error
        raise

"""Between host and device: a GPU copies beside what it computes."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Axes: N slices of a batch, C class, S row and column of the aligned image


class OnItsWay:
    """A result on its way to the host: a GPU copies it as soon as it has computed it."""

    def __init__(self, result: Tensor) -> None:
        self._host = result
        self._copied: torch.cuda.Event | None = None
        if result.is_cuda:
            # only into memory that the system cannot move does it copy beside other work
            self._host = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
            self._host.copy_(result, non_blocking=True)
            self._copied = torch.cuda.current_stream(result.device).record_event()

    def numpy(self) -> NDArray[np.float32]:
        """Wait for it."""
        if self._copied is not None:
            self._copied.synchronize()
        array: NDArray[np.float32] = self._host.numpy()
        return array


def to_device(image_NCSS: Tensor, device: str) -> Tensor:
    """Bring a batch to a device; to a GPU beside what it computes."""
    if device != "cpu":
        image_NCSS = image_NCSS.pin_memory().to(device, non_blocking=True)
    return image_NCSS.contiguous(memory_format=torch.channels_last)


def slices_of(
    slices: NDArray[np.intp], result_NCSS: OnItsWay
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Wait for a batch, and give back each slice's number and result (C, S, S)."""
    return zip(slices.tolist(), result_NCSS.numpy(), strict=True)

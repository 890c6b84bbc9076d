"""Finding the midline by the paper's way: a network that was trained to make heads symmetric.

The default is `ml.align`, which needs no weights; this is a drop-in for it. Both see the same
masked slices, and both end in the same fit over the volume.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch.nn import functional

from config.errors import ModelError
from ml.align import Alignment, HeadSlices, SliceMidlines, fit_midline, head_slices
from ml.models.alignment_net import (
    IMAGE_SIZE,
    AlignmentNet,
    AlignmentNetConfig,
    asymmetry,
    straighten,
)
from ml.volume import Volume

# Axes: N slices, S row and column

PASSES = 2
"""The second pass sees the head nearly straight, and corrects what the first left over."""


def align_by_network(volume: Volume, network: AlignmentNet) -> Alignment:
    """Find the midline of the head in a volume; a drop-in for `ml.align.align`.

    Parameters
    ----------
    volume
        A head CT of any orientation; slices nearly axial.
    network
        Trained, in evaluation mode, on the CPU.

    Returns
    -------
    Alignment
        `Alignment.identity` where no slice shows a head.
    """
    head = head_slices(volume)
    if head is None:
        return Alignment.identity(volume.grid)
    return fit_midline(head, network_midlines(head, network))


def network_midlines(
    head: HeadSlices, network: AlignmentNet, *, passes: int = PASSES
) -> SliceMidlines:
    """Let a network find the midline of each slice alone.

    Parameters
    ----------
    head
        The slices.
    network
        Trained, in evaluation mode, on the CPU.
    passes
        How often it corrects itself.
    """
    image_NSS = shown_to_network(head)
    rotation_N, shift_N = torch.zeros(len(image_NSS)), torch.zeros(len(image_NSS))
    with torch.inference_mode():
        seen_NSS = image_NSS
        for _ in range(passes):
            turned_N, right_N = network(seen_NSS)
            # the middle of what was seen lies at shift_N along the axis as turned so far
            shift_N = shift_N * torch.deg2rad(turned_N).cos() + right_N
            rotation_N = rotation_N + turned_N
            seen_NSS = straighten(image_NSS, rotation_N, shift_N)
        likeness_N = 1 - asymmetry(seen_NSS)
    return SliceMidlines(
        rotation_deg=_array(rotation_N),
        shift_mm=_array(shift_N) * (head.pixel_mm * head.images.shape[-1] / IMAGE_SIZE),
        likeness=_array(likeness_N),
    )


def shown_to_network(head: HeadSlices) -> Tensor:
    """Average the slices to the size that the network takes, shape (N, S, S)."""
    return functional.adaptive_avg_pool2d(head.images[:, None], IMAGE_SIZE)[:, 0]


def save_network(path: Path, network: AlignmentNet) -> None:
    """Write a network as one safetensors file, its configuration in the header."""
    header = {"alignment_net": json.dumps(asdict(network.config))}
    content = safetensors.torch.save(network.state_dict(), metadata=header)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    partial.replace(path)


def load_network(path: Path) -> AlignmentNet:
    """Read what `save_network` wrote, ready for use.

    Raises
    ------
    ModelError
        If the file is missing, is damaged or holds another network.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("alignment_net", "")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        network = AlignmentNet(TypeAdapter(AlignmentNetConfig).validate_json(header))
        network.load_state_dict(weights)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read in {path.parent}") from error
    except (safetensors.SafetensorError, ValidationError, RuntimeError) as error:
        raise ModelError(f"{path.name}: not an alignment network of this version") from error
    return network.eval().requires_grad_(False)


def _array(values_N: Tensor) -> NDArray[np.float64]:
    return values_N.numpy().astype(np.float64)

"""What a network costs, and how large the paper says that its networks are."""

from collections.abc import Mapping

import torch
from torch.utils.flop_counter import FlopCounterMode

from ml.models import registry

PUBLISHED_PARAMETERS_M: Mapping[str, float] = {
    "unet": 2.47,
    "du-unet": 4.83,
    "se-unet": 2.47,
    "da-net": 26.97,
    "hr-net": 17.12,
    "sym-transnet": 43.06,
}
"""Millions of parameters in table 1 of Nijiati et al. 2022, by the name of our network."""


def gflop_per_slice(name: str, config: registry.Choices, *, image_size: int) -> float:
    """Count the floating-point operations of one slice; a multiplication and an addition are two.

    Counted on torch's meta device, where nothing is computed. There, attention is made of matrix
    products and thus counted; on a CPU torch's counter gives zero for it.

    Parameters
    ----------
    name, config
        As `ml.models.registry.build` takes them; `config` must hold ``in_channels``.
    image_size
        Rows and columns of the slice.

    Returns
    -------
    float
        10^9 operations: convolutions, linear layers and attention, which is nearly all of it.

    Raises
    ------
    ModelError
        As in `build`.
    """
    with torch.device("meta"):
        model = registry.build(name, config).eval()
        image_BCYX = torch.zeros(1, int(config["in_channels"]), image_size, image_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image_BCYX)
    operations: int = counter.get_total_flops()
    return operations / 1e9

"""Each network of the registry in a size that a test can afford."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ml.models.registry import Choices, build
from ml.models.residual import ResidualBlock

SIZE = 64
CHANNELS = 2

_TRANSFORMER: Choices = {"image_size": SIZE, "num_layers": 2, "num_heads": 2}

SMALL: Mapping[str, Choices] = {
    name: {"in_channels": CHANNELS, "base_width": 4, **more}
    for name, more in {
        "unet": {},
        "du-unet": {},
        "se-unet": {},
        "da-net": {},
        "hr-net": {},
        "unet-transformer": _TRANSFORMER,
        "sym-transnet": _TRANSFORMER,
        "sym-transnet-lite": {**_TRANSFORMER, "token_width": 16},
    }.items()
}


def small(name: str, **changes: str | int) -> nn.Module:
    """The network, its weights drawn from seed 0."""
    torch.manual_seed(0)
    return build(name, {**SMALL[name], **changes}).eval()


def image(batch: int = 4) -> Tensor:
    """Smooth noise: neighbouring pixels are alike, as in a head."""
    coarse = torch.randn(batch, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(1))
    return nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic")


def settled(name: str, **changes: str | int) -> nn.Module:
    """The network as after a training: its statistics are those of `image`.

    With fresh statistics the signal fades from layer to layer, and all pixels get the same class.
    Untrained residual blocks would enlarge any rounding a hundredfold; here they are what they
    become, small corrections.
    """
    model = small(name, **changes)
    for module in model.modules():
        if isinstance(module, ResidualBlock):
            *_, last_norm = module.residual.children()
            assert isinstance(last_norm, nn.BatchNorm2d)
            nn.init.constant_(last_norm.weight, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(image())
    return model.eval()

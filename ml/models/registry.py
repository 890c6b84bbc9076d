"""Networks by name: the only place that knows which there are."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from config.errors import ModelError
from ml.models.blocks import Configuration
from ml.models.da_net import DANet, DANetConfig
from ml.models.du_unet import DilatedUNet, DilatedUNetConfig
from ml.models.hr_net import HRNet, HRNetConfig
from ml.models.se_unet import ExcitedUNet, ExcitedUNetConfig
from ml.models.sym_transnet import SymTransNet, SymTransNetConfig
from ml.models.sym_transnet_lite import SymTransNetLite, SymTransNetLiteConfig
from ml.models.unet import UNet, UNetConfig
from ml.models.unet_transformer import UNetTransformer, UNetTransformerConfig

Config = TypeVar("Config", bound=Configuration)

Choices = Mapping[str, str | int | float | bool]
"""Fields of a network's configuration, as a card holds them."""


def build(name: str, config: Choices) -> nn.Module:
    """Build a network with freshly drawn weights.

    Parameters
    ----------
    name
        One of `NETWORKS`.
    config
        Fields of the network's configuration; those left out take their default.

    Raises
    ------
    ModelError
        If there is no such network or field, or if a value is impossible.
    """
    if name not in NETWORKS:
        raise ModelError(f"there is no network {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name](config)


def num_parameters(name: str, config: Choices) -> int:
    """Count what a network learns; nothing is computed, and no memory is taken.

    Parameters
    ----------
    name, config
        As in `build`.

    Raises
    ------
    ModelError
        As in `build`.
    """
    with torch.device("meta"):
        model = build(name, config)
    return sum(parameter.numel() for parameter in model.parameters())


def _read(kind: type[Config], config: Choices) -> Config:
    known = [field.name for field in fields(kind)]
    for key in config:
        if key not in known:
            raise ModelError(f"{kind.__name__} has no {key!r}; known: {', '.join(known)}")
    try:
        return TypeAdapter(kind).validate_python(dict(config))
    except ValidationError as error:
        raise ModelError(f"{kind.__name__}: impossible value{_faults(error)}") from error


def _faults(error: ValidationError) -> str:
    """Name the fields at fault; where a check of ours refused them, say what it says."""
    places = sorted({".".join(map(str, fault["loc"])) for fault in error.errors()} - {""})
    if places:
        return f" in {', '.join(places)}"
    return "".join(f": {fault['ctx']['error']}" for fault in error.errors())


NETWORKS: Mapping[str, Callable[[Choices], nn.Module]] = {
    "unet": lambda config: UNet(_read(UNetConfig, config)),
    "du-unet": lambda config: DilatedUNet(_read(DilatedUNetConfig, config)),
    "se-unet": lambda config: ExcitedUNet(_read(ExcitedUNetConfig, config)),
    "da-net": lambda config: DANet(_read(DANetConfig, config)),
    "hr-net": lambda config: HRNet(_read(HRNetConfig, config)),
    "unet-transformer": lambda config: UNetTransformer(_read(UNetTransformerConfig, config)),
    "sym-transnet": lambda config: SymTransNet(_read(SymTransNetConfig, config)),
    "sym-transnet-lite": lambda config: SymTransNetLite(_read(SymTransNetLiteConfig, config)),
}

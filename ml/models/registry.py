"""Networks by name: the only place that knows which there are."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from torch import nn

from config.errors import ModelError
from ml.models.sym_transnet import SymTransNet, SymTransNetConfig
from ml.models.sym_transnet_lite import SymTransNetLite, SymTransNetLiteConfig

Config = TypeVar("Config", SymTransNetConfig, SymTransNetLiteConfig)

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


def _read(kind: type[Config], config: Choices) -> Config:
    known = [field.name for field in fields(kind)]
    for key in config:
        if key not in known:
            raise ModelError(f"{kind.__name__} has no {key!r}; known: {', '.join(known)}")
    try:
        return TypeAdapter(kind).validate_python(dict(config))
    except ValidationError as error:
        places = sorted({".".join(map(str, fault["loc"])) or "all" for fault in error.errors()})
        raise ModelError(f"{kind.__name__}: impossible value in {', '.join(places)}") from error


NETWORKS: Mapping[str, Callable[[Choices], nn.Module]] = {
    "sym-transnet": lambda config: SymTransNet(_read(SymTransNetConfig, config)),
    "sym-transnet-lite": lambda config: SymTransNetLite(_read(SymTransNetLiteConfig, config)),
}

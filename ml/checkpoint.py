"""Weights on disk: a safetensors file, and beside it a card in JSON that says what they are.

Nothing is ever unpickled. The card holds the digest of the weights; `load` verifies it, builds the
network that the card names, and refuses tensors that do not fit.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import safetensors.torch
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from config.errors import ModelError
from ml.familiarity import FamiliarityModel
from ml.models import registry
from ml.preprocess import InputSpec
from ml.volume import Subtype


@dataclass(frozen=True)
class Thresholds:
    """Where a score becomes a decision; chosen on validation patients alone.

    Attributes
    ----------
    lower_score
        Below it, the case is negative.
    upper_score
        From it on, the case is positive; between the two it is borderline.
    minimum_ml
        Volume that a subtype must reach to be reported, ml; one entry for the name of each
        `Subtype`.
    minimum_certainty_percent
        Mean certainty that a subtype must reach to be reported, percent, by name; without an entry
        there is no such limit.
    """

    lower_score: float
    upper_score: float
    minimum_ml: Mapping[str, float]
    minimum_certainty_percent: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse thresholds that contradict each other or leave out a subtype."""
        if not 0 <= self.lower_score <= self.upper_score <= 1:
            raise ValueError("scores must satisfy 0 <= lower <= upper <= 1")
        if set(self.minimum_ml) != {subtype.name for subtype in Subtype}:
            raise ValueError("minimum_ml must name each subtype once")
        if not set(self.minimum_certainty_percent) <= set(self.minimum_ml):
            raise ValueError("minimum_certainty_percent names what is no subtype")

    def minimum_of(self, subtype: Subtype) -> float:
        """Volume from which a subtype is reported, ml."""
        return self.minimum_ml[subtype.name]

    def minimum_certainty_of(self, subtype: Subtype) -> float:
        """Mean certainty from which a subtype is reported, percent."""
        return self.minimum_certainty_percent.get(subtype.name, 0.0)


@dataclass(frozen=True)
class ModelCard:
    """What a set of weights is, how it came about, and how it is to be used.

    Attributes
    ----------
    name, version
        Of the model as a whole, shown in every result.
    network
        Key of `ml.models.registry.NETWORKS`.
    network_config
        Fields of that network's configuration.
    input
        What the network is shown.
    thresholds
        Where a score becomes a decision.
    data
        In a sentence or two: on what it was trained, validated and tested.
    recipe
        Every setting of the training.
    metrics
        Figures by name; the part before the slash names the patients (``test/dice_ICH``).
    code_version
        Version of Midline that trained it.
    weights_sha256
        Digest of the safetensors file; filled in by `save`.
    temperature
        The logits are divided by it before the softmax (Guo et al. 2017, section 4.2); fitted on
        validation patients. 1 leaves them as they are.
    familiarity
        How the heads look that it was trained on; without it nothing is called unfamiliar.
    data_digest
        Of the data set it was trained on (`ml.data.manifest`), or of the synthetic patients.
    """

    name: str
    version: str
    network: str
    network_config: registry.Choices
    input: InputSpec
    thresholds: Thresholds
    data: str
    recipe: Mapping[str, str | int | float | bool]
    metrics: Mapping[str, float]
    code_version: str
    weights_sha256: str = ""
    temperature: float = 1.0
    familiarity: FamiliarityModel | None = None
    data_digest: str = ""

    def __post_init__(self) -> None:
        """Refuse a temperature by which nothing can be divided."""
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}, not a positive number")

    @property
    def device_uid_seed(self) -> str:
        """Text that differs whenever two models may give different results.

        Two nodes with the same weights and the same settings have the same seed, and thus the same
        Device UID in their results.
        """
        fixed = asdict(self)
        for told_only in ("data", "recipe", "metrics"):
            del fixed[told_only]
        return json.dumps(fixed, sort_keys=True, separators=(",", ":"))


def card_path(weights: Path) -> Path:
    """Path of the card that belongs to a safetensors file."""
    return weights.with_suffix(".json")


def save(path: Path, model: nn.Module, card: ModelCard) -> ModelCard:
    """Write the weights and their card; either file appears whole or not at all.

    Parameters
    ----------
    path
        Of the weights, with the suffix ``.safetensors``.
    model
        The network that the card describes.
    card
        Its digest is replaced.

    Returns
    -------
    ModelCard
        The card as written.
    """
    content = safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    )
    card = replace(card, weights_sha256=hashlib.sha256(content).hexdigest())
    _write_whole(path, content)
    _write_whole(card_path(path), (json.dumps(asdict(card), indent=2) + "\n").encode())
    return card


def load(path: Path, device: torch.device) -> tuple[nn.Module, ModelCard]:
    """Load a network and its card, ready for inference.

    Parameters
    ----------
    path
        Of the weights; the card lies beside them.
    device
        Where the network shall be.

    Returns
    -------
    model : nn.Module
        In evaluation mode, without gradients.
    card : ModelCard
        What it is.

    Raises
    ------
    ModelError
        If a file is missing or damaged, if the digest is another one than the card's, or if the
        tensors do not fit the network.
    """
    card = read_card(card_path(path))
    content = _read(path)
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.weights_sha256:
        raise ModelError(
            f"{path.name}: the SHA-256 of the weights is {digest}, not the card's "
            f"{card.weights_sha256}"
        )
    model = registry.build(card.network, card.network_config)
    try:
        weights = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ModelError(f"{path.name}: not a safetensors file") from error
    _fill(model, weights, path.name)
    return model.to(device).eval().requires_grad_(False), card


def load_on_cpu(path: Path) -> ModelCard:
    """Load a network to see whether that can be done; its card. Raises as `load`."""
    return load(path, torch.device("cpu"))[1]


def read_card(path: Path) -> ModelCard:
    """Read a card alone.

    Raises
    ------
    ModelError
        If it is missing, is not JSON, or lacks a field.
    """
    try:
        return TypeAdapter(ModelCard).validate_json(_read(path))
    except ValidationError as error:
        places = sorted({".".join(map(str, fault["loc"])) or "all" for fault in error.errors()})
        raise ModelError(f"{path.name}: not a model card: {', '.join(places)}") from error


def _fill(model: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Copy tensors into a network after comparing names and shapes."""
    wanted = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    given = {key: tuple(tensor.shape) for key, tensor in weights.items()}
    for key in sorted(wanted.keys() ^ given.keys()):
        whose = "the network lacks" if key in given else "the file lacks"
        raise ModelError(f"{name}: {whose} the tensor {key}")
    for key, shape in wanted.items():
        if given[key] != shape:
            raise ModelError(f"{name}: {key} has shape {given[key]}, the network wants {shape}")
    model.load_state_dict(weights)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read in {path.parent}") from error


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    partial.replace(path)

"""Weights and their card: what was saved comes back, and nothing else is accepted."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from config.errors import ModelError
from ml import familiarity
from ml.checkpoint import ModelCard, Thresholds, card_path, load, read_card, save
from ml.models import registry
from ml.preprocess import InputSpec
from ml.volume import Subtype

CPU = torch.device("cpu")
CONFIG = {"in_channels": 2, "image_size": 32, "base_width": 4, "token_width": 8, "num_layers": 1}
THRESHOLDS = Thresholds(0.2, 0.4, {subtype.name: 0.5 for subtype in Subtype})
CARD = ModelCard(
    name="tiny",
    version="1.0",
    network="sym-transnet-lite",
    network_config=CONFIG,
    input=InputSpec(size=32, pixel_mm=7.0, windows=((50.0, 100.0), (80.0, 200.0)), num_slices=1),
    thresholds=THRESHOLDS,
    data="none",
    recipe={"seed": 0},
    metrics={"test/dice_ICH": 0.5},
    code_version="0.1.0",
)
FAMILIARITY = familiarity.fit([{"noise_hu": 2.0 + seed / 10} for seed in range(20)])


def a_model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return registry.build("sym-transnet-lite", CONFIG)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save(path, a_model(), CARD)
    return path


def rewrite_card(weights: Path, **changes: object) -> None:
    card = json.loads(card_path(weights).read_text()) | changes
    card_path(weights).write_text(json.dumps(card))


def test_what_was_saved_comes_back(weights: Path) -> None:
    model, card = load(weights, CPU)
    assert replace(card, weights_sha256="") == CARD
    saved = a_model().state_dict()
    assert model.state_dict().keys() == saved.keys()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def test_a_loaded_network_is_ready_for_inference(weights: Path) -> None:
    model, _ = load(weights, CPU)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_channels_last_weights_are_saved_as_they_are(tmp_path: Path) -> None:
    model = a_model().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save(tmp_path / "tiny.safetensors", model, CARD)
    loaded, _ = load(tmp_path / "tiny.safetensors", CPU)
    image_BCYX = torch.randn(1, 2, 32, 32)
    torch.testing.assert_close(loaded(image_BCYX), model.eval()(image_BCYX))


def test_nothing_but_weights_and_card_is_left_behind(weights: Path) -> None:
    assert {path.name for path in weights.parent.iterdir()} == {"tiny.safetensors", "tiny.json"}


def test_one_changed_byte_of_the_weights_is_refused(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"tiny\.safetensors: the SHA-256 of the weights is"):
        load(weights, CPU)


def test_weights_of_another_shape_are_refused_by_the_name_of_the_tensor(weights: Path) -> None:
    rewrite_card(weights, network_config=CONFIG | {"in_channels": 3})
    with pytest.raises(
        ModelError, match=r"stem\.0\.weight has shape \(4, 2, 4, 4\), the network w"
    ):
        load(weights, CPU)


@pytest.mark.parametrize(("num_layers", "whose"), [(0, "the network"), (2, "the file")])
def test_missing_and_superfluous_tensors_are_refused(
    weights: Path, num_layers: int, whose: str
) -> None:
    rewrite_card(weights, network_config=CONFIG | {"num_layers": num_layers})
    with pytest.raises(ModelError, match=f"{whose} lacks the tensor transformer"):
        load(weights, CPU)


def test_weights_that_are_no_safetensors_are_refused(weights: Path) -> None:
    weights.write_bytes(b"no weights")
    rewrite_card(weights, weights_sha256=hashlib.sha256(b"no weights").hexdigest())
    with pytest.raises(ModelError, match="not a safetensors file"):
        load(weights, CPU)


def test_missing_files_are_named(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(ModelError, match=r"other\.json cannot be read"):
        load(tmp_path / "other.safetensors", CPU)
    weights.unlink()
    with pytest.raises(ModelError, match=r"tiny\.safetensors cannot be read"):
        load(weights, CPU)


def test_a_card_of_an_older_form_still_loads(weights: Path) -> None:
    older = json.loads(card_path(weights).read_text())
    del older["temperature"], older["familiarity"]
    card_path(weights).write_text(json.dumps(older))
    card = load(weights, CPU)[1]
    assert (card.temperature, card.familiarity) == (1.0, None)
    assert replace(card, weights_sha256="") == CARD


def test_temperature_and_familiarity_come_back(tmp_path: Path) -> None:
    card = replace(CARD, temperature=1.4, familiarity=FAMILIARITY)
    written = save(tmp_path / "tiny.safetensors", a_model(), card)
    assert read_card(tmp_path / "tiny.json") == written
    assert written.familiarity == FAMILIARITY


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_by_which_nothing_can_be_divided_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature is"):
        replace(CARD, temperature=temperature)


def test_an_impossible_temperature_in_a_card_is_a_model_error(weights: Path) -> None:
    rewrite_card(weights, temperature=0)
    with pytest.raises(ModelError, match="not a model card"):
        read_card(card_path(weights))


def test_what_changes_results_changes_the_seed_of_the_device_uid() -> None:
    warm, wary = replace(CARD, temperature=2.0), replace(CARD, familiarity=FAMILIARITY)
    seeds = {card.device_uid_seed for card in (CARD, warm, wary)}
    assert len(seeds) == 3
    assert replace(CARD, data="other", metrics={}).device_uid_seed == CARD.device_uid_seed


def test_a_card_that_lacks_a_field_is_refused_by_its_name(weights: Path) -> None:
    card = json.loads(card_path(weights).read_text())
    del card["thresholds"]["upper_score"], card["version"]
    card_path(weights).write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"not a model card: thresholds\.upper_score, version"):
        read_card(card_path(weights))


def test_a_card_that_is_no_json_is_refused(weights: Path) -> None:
    card_path(weights).write_text("{")
    with pytest.raises(ModelError, match="not a model card"):
        read_card(card_path(weights))


def test_thresholds_that_contradict_each_other_are_refused(weights: Path) -> None:
    minimum_ml = THRESHOLDS.minimum_ml
    with pytest.raises(ValueError, match="lower <= upper"):
        Thresholds(0.5, 0.4, minimum_ml)
    with pytest.raises(ValueError, match="each subtype"):
        Thresholds(0.4, 0.5, {"IPH": 1.0})
    rewrite_card(weights, thresholds={"lower_score": 2, "upper_score": 3, "minimum_ml": minimum_ml})
    with pytest.raises(ModelError, match="not a model card: thresholds"):
        read_card(card_path(weights))


@pytest.mark.parametrize(
    "other",
    [
        replace(CARD, version="1.1"),
        replace(CARD, code_version="0.2.0"),
        replace(CARD, weights_sha256="ab"),
        replace(CARD, input=replace(CARD.input, pixel_mm=6.0)),
        replace(CARD, thresholds=replace(THRESHOLDS, upper_score=0.5)),
        replace(CARD, network_config=CONFIG | {"mirroring": "none"}),
    ],
)
def test_the_seed_of_the_device_uid_follows_all_that_changes_results(other: ModelCard) -> None:
    assert other.device_uid_seed != CARD.device_uid_seed


def test_the_seed_of_the_device_uid_does_not_follow_what_is_only_told() -> None:
    told = replace(CARD, data="other words", metrics={}, recipe={})
    assert told.device_uid_seed == CARD.device_uid_seed


def test_saving_the_same_weights_twice_gives_the_same_digest(tmp_path: Path) -> None:
    first = save(tmp_path / "first.safetensors", a_model(), CARD)
    second = save(tmp_path / "second.safetensors", a_model(), CARD)
    changed = save(tmp_path / "changed.safetensors", a_model(seed=1), CARD)
    assert first.weights_sha256 == second.weights_sha256 != changed.weights_sha256
    assert set(safetensors.torch.load_file(tmp_path / "first.safetensors")) == set(
        a_model().state_dict()
    )

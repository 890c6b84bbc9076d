"""The weights that ship: they load, they are what their card says, and they know a bleed."""

import pytest
import torch

from config.errors import UsageError
from ml.checkpoint import card_path, load, read_card
from ml.inference import Precision, Segmenter
from ml.phantom import Scan, make_phantom
from ml.volume import Subtype
from ml.weights import path_of, shipped

MOST_BYTES = 15_000_000


def test_the_light_network_ships() -> None:
    assert "sym-transnet-lite" in shipped()


def test_a_network_without_weights_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="no weights ship for 'sym-transnet', only for "):
        path_of("sym-transnet")


def test_a_model_that_does_not_exist_is_told_apart() -> None:
    with pytest.raises(UsageError, match="there is no model 'resnet'"):
        path_of("resnet")


@pytest.mark.parametrize("model", shipped())
def test_shipped_weights_load_and_fit_their_card(model: str) -> None:
    network, card = load(path_of(model), torch.device("cpu"))
    assert card.name == model
    spec = card.input
    with torch.inference_mode():
        image_BCYX = torch.zeros(1, spec.num_channels, spec.size, spec.size)
        logits_BCYX = network(image_BCYX)
    assert logits_BCYX.shape == (1, 6, spec.size, spec.size)
    assert logits_BCYX.isfinite().all()


@pytest.mark.parametrize("model", shipped())
def test_shipped_weights_are_small(model: str) -> None:
    assert path_of(model).stat().st_size < MOST_BYTES


@pytest.mark.parametrize("model", shipped())
def test_a_shipped_card_says_on_what_it_was_measured(model: str) -> None:
    card = read_card(card_path(path_of(model)))
    assert "Synthetic head CT only" in card.data
    for split in ("validation", "test"):
        for figure in ("patients", "dice_ICH", "sensitivity", "specificity"):
            assert f"{split}/{figure}" in card.metrics


@pytest.mark.slow
def test_the_shipped_network_tells_a_large_bleed_from_none() -> None:
    segmenter = Segmenter.load(
        path_of("sym-transnet-lite"), device="cpu", precision=Precision.FP32, threads=1
    )
    scan = Scan(matrix=256)
    bleeding = make_phantom(0, [Subtype.SDH], scan=scan)
    healthy = make_phantom(0, scan=scan)
    thresholds = segmenter.card.thresholds
    found = segmenter.segment(bleeding.volume)
    assert found.case_score >= thresholds.upper_score
    both = (found.mask.labels > 0) & (bleeding.mask.labels > 0)
    assert both.sum() > 0.5 * (bleeding.mask.labels > 0).sum()
    assert segmenter.segment(healthy.volume).case_score < thresholds.lower_score

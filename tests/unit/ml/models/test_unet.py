"""U-Net: its size, and that detail comes through its skips."""

import torch

from ml.models.registry import num_parameters
from ml.models.unet import Decoder, UNet, UNetConfig, widths_of
from tests.unit.ml.models.networks import image, settled


def test_the_stages_double_their_width() -> None:
    assert widths_of(64) == [64, 128, 256, 512]


def test_the_encoder_halves_the_image_three_times() -> None:
    deepest, skips = UNet(UNetConfig(base_width=4)).encoder(torch.zeros(2, 1, 32, 48))
    assert deepest.shape == (2, 32, 4, 6)
    assert [skip.shape[1:] for skip in skips] == [(4, 32, 48), (8, 16, 24), (16, 8, 12)]


def test_skips_are_added_and_thus_cost_no_channel() -> None:
    decoder = Decoder([4, 8], 2)
    weight = next(decoder.stages[0].parameters())
    assert weight.shape == (4, 4, 3, 3)


def test_every_skip_changes_the_result() -> None:
    model = settled("unet")
    assert isinstance(model, UNet)
    deepest, skips = model.encoder(image(1))
    expected = model.decoder(deepest, skips)
    for i in range(len(skips)):
        without = [skip * (j != i) for j, skip in enumerate(skips)]
        assert (model.decoder(deepest, without) - expected).abs().max() > 0.01


def test_another_class_costs_one_more_1x1_filter() -> None:
    assert num_parameters("unet", {"num_classes": 7}) - num_parameters("unet", {}) == 64 + 1

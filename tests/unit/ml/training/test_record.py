"""What a training tells: a log always, TensorBoard where it is wanted, nothing from followers."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.training.datasets import UNNAMED, Splits
from ml.training.logbook import read_log
from ml.training.pictures import overlay, overlays
from ml.training.recipes import Recipe
from ml.training.record import BOARD_NAME, Record
from ml.training.train import begin, fit
from ml.volume import Subtype

CPU = torch.device("cpu")


def test_tensorboard_gets_loss_rate_dice_and_pictures(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(recipe, splits, tmp_path, device=CPU, tensorboard=True)
    events = EventAccumulator(str(tmp_path / BOARD_NAME))
    events.Reload()
    told = {line["step"]: line["loss"] for line in read_log(tmp_path) if "loss" in line}
    shown = {event.step: event.value for event in events.Scalars("train/loss")}
    assert shown == pytest.approx(told)
    assert {"train/rate", "validation/dice_ICH", "validation/dice_IPH"} <= set(
        events.Tags()["scalars"]
    )
    (first, last) = events.Images("validation/truth_and_prediction_0")
    assert (first.step, last.step) == (2, 3)
    assert (last.height, last.width) == (32, 64)


def test_without_a_wish_there_is_no_tensorboard(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    fit(recipe, splits, tmp_path, device=CPU)
    assert not (tmp_path / BOARD_NAME).exists()


def test_a_follower_tells_nothing(recipe: Recipe, tmp_path: Path) -> None:
    with Record(tmp_path, recipe, 0, silent=True, tensorboard=True) as record:
        record.step(1, loss=1.0, rate=0.1)
        record.validation(1, {"dice": 0.5}, list)
    assert not list(tmp_path.iterdir())


def test_away_from_a_terminal_every_fiftieth_step_is_logged(
    recipe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ml.training")
    longer = replace(recipe, num_steps=200)
    with Record(tmp_path, longer, 0, silent=False, tensorboard=False) as record:
        for step in range(1, 102):
            record.step(step, loss=2.0, rate=0.1)
        record.validation(101, {"dice": 0.5, "dice_IPH": 0.25}, list)
    assert [entry.getMessage() for entry in caplog.records] == [
        "step 50 of 200: loss 2.0000",
        "step 100 of 200: loss 2.0000",
        "step 101: validation dice 0.500, dice_IPH 0.250",
    ]


def test_an_overlay_shows_the_slice_with_most_blood_twice(recipe: Recipe, splits: Splits) -> None:
    splits.validation[0].labels[2] = 0
    average = begin(recipe, CPU, None).average
    ((name, picture),) = overlays(average, splits.validation, CPU)
    assert name == "truth_and_prediction_0"
    assert picture.shape == (32, 64, 3)
    coloured = (picture[:, :32].max(axis=2) != picture[:, :32].min(axis=2)).sum()
    assert coloured == (splits.validation[0].labels[3] > 0).sum()


def test_colours_lie_on_grey() -> None:
    hu = np.full((2, 2), 50, np.int16)
    labels = np.array([[0, Subtype.IPH], [UNNAMED, Subtype.SAH]])
    picture = overlay(hu, labels)
    assert picture[0, 0].tolist() == [127, 127, 127]
    assert len({tuple(pixel) for pixel in picture.reshape(4, 3).tolist()}) == 4

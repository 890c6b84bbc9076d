"""The reproduction from end to end, in seconds: tiny heads, two steps for each network."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from config.errors import UsageError
from ml.models.registry import Choices
from ml.reproduction.heads import GetHeads, Heads
from ml.reproduction.parts import Made, Workshop
from ml.reproduction.report import publish
from ml.reproduction.reproduce import reproduction
from ml.reproduction.scales import NETWORKS, Scale, cpu, paper, scale_named
from ml.training.recipes import Recipe

from .conftest import SIZE, SOURCE, SPEC

CPU = torch.device("cpu")


def tiny() -> Scale:
    small: Choices = {"base_width": 2}
    transformer: Choices = {"image_size": SIZE, "num_layers": 1, "num_heads": 2, **small}
    return Scale(
        name="tiny",
        input=SPEC,
        phantoms=SOURCE,
        recipe=Recipe(
            name="",
            network="",
            network_config={},
            input=SPEC,
            phantoms=SOURCE,
            num_steps=2,
            batch_size=3,
            validate_every=1,
            num_watched=1,
            warmup_steps=1,
        ),
        configs={
            name: transformer if name in ("unet-transformer", "sym-transnet") else small
            for name in NETWORKS
        },
    )


class Told:
    """What a run says; it may be stopped before a part."""

    def __init__(self, stop_before: str = "") -> None:
        self.begun: list[str] = []
        self._stop_before = stop_before

    def __call__(self, line: str) -> None:
        if line.endswith("begins"):
            name = line.split()[1].removesuffix(":")
            if name == self._stop_before:
                raise KeyboardInterrupt
            self.begun.append(name)


def run(scale: Scale, get: GetHeads, out: Path, told: Told) -> Mapping[str, Made]:
    return Workshop(out, reproduction(scale, get, device=CPU), tell=told).make()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tests of this file share, in their order."""
    return tmp_path_factory.mktemp("reproduction")


def test_all_parts_lead_to_a_report(get_heads: GetHeads, shared: Path, tmp_path: Path) -> None:
    stopped = Told(stop_before="train/hr-net")
    with pytest.raises(KeyboardInterrupt):
        run(tiny(), get_heads, shared, stopped)
    told = Told()
    made = run(tiny(), get_heads, shared, told)
    assert stopped.begun == ["data", "train/unet", "train/du-unet", "train/se-unet", "train/da-net"]
    assert not set(stopped.begun) & set(told.begun)
    assert set(stopped.begun) | set(told.begun) == set(made)

    text = publish(made, tmp_path).read_text()
    for title in ("Table 1", "Table 2", "Table 3", "Table 4", "Table 5", "Figure 6", "Figure 7"):
        assert title in text
    assert "Sym-TransNet against each network" in text
    assert "exchanges false positives and false negatives" in text
    assert "Wall time" in text
    for picture in ("figure_6.png", "figure_7.png", "figure_roc.png"):
        assert f"]({picture})" in text
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_a_finished_reproduction_computes_nothing(get_heads: GetHeads, shared: Path) -> None:
    def no_heads(*_: object) -> Heads:
        raise AssertionError("heads are not needed any more")

    told = Told()
    run(tiny(), no_heads, shared, told)
    assert told.begun == []


def test_another_width_trains_that_network_alone(get_heads: GetHeads, shared: Path) -> None:
    scale = tiny()
    wider = replace(scale, configs={**scale.configs, "se-unet": {"base_width": 3}})
    told = Told()
    run(wider, get_heads, shared, told)
    assert [name for name in told.begun if name.startswith("train")] == ["train/se-unet"]
    assert [name for name in told.begun if name.startswith("assess")] == ["assess/se-unet"]
    # what does not show it is kept
    assert "figures/7" not in told.begun
    assert {"figures/6", "tables/1", "report"} <= set(told.begun)


def test_heads_that_changed_under_the_run_are_noticed(get_heads: GetHeads, tmp_path: Path) -> None:
    told = Told(stop_before="train/unet")
    with pytest.raises(KeyboardInterrupt):
        run(tiny(), get_heads, tmp_path, told)

    def other_heads(source: object, spec: object) -> Heads:
        heads = get_heads(SOURCE, SPEC)
        heads.splits.train[0].hu[0, 0, 0] += 1
        return heads

    with pytest.raises(UsageError, match="the patients of data are not those"):
        run(tiny(), other_heads, tmp_path, Told())


@pytest.mark.parametrize("scale", [cpu(), paper()], ids=lambda scale: scale.name)
def test_every_network_of_a_scale_can_be_built(scale: Scale, get_heads: GetHeads) -> None:
    # its code is found by building it without memory
    parts = reproduction(scale, get_heads, device=CPU)
    assert len([part for part in parts if part.name.startswith("train/")]) == 7


def test_the_paper_has_its_own_numbers_of_patients() -> None:
    phantoms = paper().phantoms
    counts = (phantoms.num_train, phantoms.num_validation, phantoms.num_test)
    assert counts == (857, 100, 400)
    with pytest.raises(UsageError, match="no scale 'gpu'"):
        scale_named("gpu")

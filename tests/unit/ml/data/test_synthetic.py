"""Phantoms are written as a data set like any other, and are the same whoever makes them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.errors import UsageError
from ml.data.manifest import Manifest, read_manifest, studies_of, verify
from ml.data.prepare import Making
from ml.data.splits import Shares, Split
from ml.data.studies import LabelKind
from ml.data.synthetic import phantom_study, prepare_phantoms
from ml.phantom import Difficulty, Population

NOW = datetime(2031, 3, 4, tzinfo=UTC)
SMALL = Population(matrix=32, healthy=0.5, template_share=0.0)


def run(out: Path, num: int = 3, population: Population = SMALL, **choices: Any) -> Manifest:
    making = Making(NOW, "0.1.0", Shares(0, 0, 1))
    choices = {"num_workers": 1, **choices}
    return prepare_phantoms(
        out, range(900, 900 + num), population=population, making=making, **choices
    )


def test_phantoms_are_a_data_set_like_any_other(tmp_path: Path) -> None:
    steps: list[int] = []
    manifest = run(tmp_path / "set", step=lambda: steps.append(1))
    assert read_manifest(tmp_path / "set") == manifest
    assert verify(tmp_path / "set", manifest) == ()
    assert len(steps) == 3
    assert [entry.study_id for entry in manifest.of(Split.TEST)] == [
        "phantom-0000900",
        "phantom-0000901",
        "phantom-0000902",
    ]
    assert manifest.options["difficulty"] == "standard"
    for study in studies_of(tmp_path / "set", manifest):
        assert study.truth.kind is LabelKind.SUBTYPES
        assert study.mask is not None
        made = phantom_study(int(study.study_id.split("-")[1]), SMALL)
        assert made.mask is not None
        np.testing.assert_array_equal(study.volume.hu, made.volume.hu)
        np.testing.assert_array_equal(study.mask.labels, made.mask.labels)
        assert (study.volume.hu == np.rint(study.volume.hu)).all()


def test_all_are_healthy_or_all_bleed_on_demand(tmp_path: Path) -> None:
    for healthy, bleeds in ((1.0, False), (0.0, True)):
        population = Population(matrix=32, healthy=healthy, template_share=0.0)
        manifest = run(tmp_path / str(healthy), 2, population)
        assert [entry.bleeds for entry in manifest.studies] == [bleeds, bleeds]


def test_difficulty_reaches_the_phantom() -> None:
    easy, hard = (
        phantom_study(
            900, Population(matrix=32, healthy=0, difficulty=difficulty, template_share=0.0)
        )
        for difficulty in (Difficulty.EASY, Difficulty.HARD)
    )
    assert not np.array_equal(easy.volume.hu, hard.volume.hu)


@pytest.mark.slow
def test_two_processes_make_the_same_as_one(tmp_path: Path) -> None:
    alone = run(tmp_path / "one", 2)
    together = run(tmp_path / "two", 2, num_workers=2)
    assert together.digest == alone.digest


def test_an_existing_folder_is_never_touched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        run(tmp_path)

"""A report of synthetic results: complete, legible as data, the same each time."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from config.errors import UsageError
from ml.checkpoint import ModelCard
from ml.evaluation.calibration import reliability
from ml.evaluation.cases import CaseResult
from ml.evaluation.markdown import DISCLAIMER, PICTURES, Provenance
from ml.evaluation.report import FIGURES, REPORT, write_report
from ml.evaluation.summary import Summary, summarise
from ml.preprocess import InputSpec

from .conftest import THRESHOLDS, make_results

CARD = ModelCard(
    name="tiny",
    version="1.2",
    network="sym-transnet-lite",
    network_config={},
    input=InputSpec(),
    thresholds=THRESHOLDS,
    data="none",
    recipe={},
    metrics={},
    code_version="0",
    weights_sha256="ab" * 32,
)
PROVENANCE = Provenance(
    model=CARD,
    data="heads (phantoms)",
    split="test",
    data_digest="cd" * 32,
    code_version="9.9",
    device="cpu",
    precision="float32",
    seed=0,
    left_out={"no mask": 3},
)


def summary_of(results: list[CaseResult]) -> Summary:
    rng = np.random.default_rng(0)
    claimed = rng.uniform(0.3, 1, 500)
    voxels = reliability(claimed, rng.uniform(size=500) < claimed)
    return summarise(results, THRESHOLDS, seed=0, voxels=voxels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, results: list[CaseResult]) -> Path:
    folder = tmp_path_factory.mktemp("report") / "new"
    write_report(folder, results, summary_of(results), PROVENANCE)
    return folder


def test_the_report_says_what_was_measured_on_what(folder: Path) -> None:
    text = (folder / REPORT).read_text()
    for told in (
        f"**{DISCLAIMER}**",
        "# tiny 1.2 on heads (phantoms), test",
        "ab" * 32,
        "cd" * 32,
        "| Negative | below 0.3 |",
        "| Midline | 9.9 on cpu, float32 |",
        "3 (no mask)",
        "100 of 100 patients",
    ):
        assert told in text


def test_every_table_is_rectangular_and_every_cell_is_filled(folder: Path) -> None:
    blocks = (folder / REPORT).read_text().split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(tables) == 9
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
        assert not any("nan" in line or "None" in line for line in table)


def test_the_figures_in_the_text_are_those_of_the_json(folder: Path) -> None:
    held = json.loads((folder / FIGURES).read_text())
    accuracy = held["summary"]["diagnosis"][0]["accuracy"]
    assert f"{accuracy['count']} of {accuracy['total']}" in (folder / REPORT).read_text()
    area = held["summary"]["curves"]["auc"]
    assert f"AUC {area['estimate']:.3f} ({area['low']:.3f}" in (folder / REPORT).read_text()
    assert held["provenance"]["model"]["weights_sha256"] == "ab" * 32
    assert 0 < held["calibration"]["voxels"]["expected_error"] < 0.2
    assert held["disclaimer"] == DISCLAIMER


def test_every_picture_that_is_named_can_be_looked_at(folder: Path) -> None:
    text = (folder / REPORT).read_text()
    drawn = {path.name for path in folder.glob("*.png")}
    assert drawn == set(PICTURES) - {"overlays.png"}
    for name in drawn:
        assert f"]({name})" in text
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 400
            # something is drawn on the white ground
            assert np.asarray(picture.convert("L")).std() > 5


def test_the_same_results_give_the_same_bytes(
    folder: Path, tmp_path: Path, results: list[CaseResult]
) -> None:
    write_report(tmp_path, results, summary_of(results), PROVENANCE)
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_pictures_of_an_earlier_report_do_not_stay(
    tmp_path: Path, results: list[CaseResult]
) -> None:
    write_report(tmp_path, results[:8], summary_of(results[:8]), PROVENANCE, overlays=b"png")
    assert (tmp_path / "overlays.png").read_bytes() == b"png"
    others = make_results(0, 3)
    paths = write_report(tmp_path, others, summarise(others, THRESHOLDS, seed=0), PROVENANCE)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    assert {path.name for path in paths} == {REPORT, FIGURES, "reliability.png"}


@pytest.mark.parametrize(("num_bleeding", "num_others"), [(1, 0), (2, 1), (0, 1)])
def test_few_studies_make_a_report_too(tmp_path: Path, num_bleeding: int, num_others: int) -> None:
    few = make_results(num_bleeding, num_others)
    write_report(tmp_path, few, summarise(few, THRESHOLDS, seed=0), PROVENANCE)
    text = (tmp_path / REPORT).read_text()
    assert "nan" not in text
    assert (tmp_path / "dice.png").exists() == (num_bleeding > 0)


def test_a_truth_without_subtypes_has_no_rows_of_them_to_fill(tmp_path: Path) -> None:
    binary = [replace(each, of={"ICH": each.of["ICH"]}) for each in make_results(4, 2)]
    write_report(tmp_path, binary, summarise(binary, THRESHOLDS, seed=0), PROVENANCE)
    assert "| IPH | 0 | - | - | - | - |" in (tmp_path / REPORT).read_text()


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, results: list[CaseResult]
) -> None:
    (tmp_path / "file").touch()
    few = results[:2]
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(tmp_path / "file" / "x", few, summarise(few, THRESHOLDS, seed=0), PROVENANCE)

"""``midline evaluate`` on a small data set, and the mistakes that can be made with it."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from ml.checkpoint import ModelCard, Thresholds, read_card, save
from ml.data.manifest import Entry, Manifest, digest_of, entry_of, read_manifest, write_manifest
from ml.data.splits import Shares, Split
from ml.data.studies import Study, Truth, write_study
from ml.evaluation.cases import Decision, assess, decide
from ml.inference import Prediction
from ml.models import registry
from ml.plane import Alignment
from ml.preprocess import InputSpec
from ml.volume import Mask, Subtype
from node.cli import root
from node.cli.border import CommandGroup
from node.cli.evaluating import evaluate
from node.cli.measuring import choose_studies
from node.pipeline import conclude
from node.results.outcomes import Outcome
from tests.support.ct_series import even_heights, stack
from tests.support.heads import BLOOD_HU, Head
from tests.support.result_inputs import make_grid, make_mask, make_series

GRID = stack(even_heights(36))
SPEC = InputSpec(size=32, pixel_mm=7.2)

app = typer.Typer(cls=CommandGroup)
app.callback()(root)
app.command()(evaluate)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], prog_name="midline")


def study(name: str, *, bleeds: bool, truth: str = "subtypes") -> Study:
    head = Head(bleed_left_mm=35.0 if bleeds else 500.0, holder=False)
    volume = head.volume(GRID, noise_hu=0)
    inside = volume.hu == BLOOD_HU
    known = {
        "subtypes": Truth(mask=Mask((inside * np.uint8(Subtype.SDH)).astype(np.uint8), GRID)),
        "binary": Truth(bleed=inside),
        "slices": Truth(slices=np.repeat(inside.any(axis=(1, 2))[:, None], 6, axis=1)),
    }
    return Study(name, f"patient-{name}", volume, known[truth])


def write_data_set(folder: Path, studies: Mapping[Split, list[Study]]) -> Path:
    (folder / "studies").mkdir(parents=True)
    entries: list[Entry] = []
    for split, members in studies.items():
        for member in members:
            path = folder / "studies" / f"{member.study_id}.npz"
            write_study(path, member)
            entries.append(entry_of(member, path, split))
    entries.sort(key=lambda entry: entry.study_id)
    write_manifest(
        folder,
        Manifest(
            layout="heads",
            created="2030-01-01T00:00:00+00:00",
            code_version="0",
            split_seed=0,
            shares=Shares(),
            options={},
            studies=tuple(entries),
            skipped=(),
            digest=digest_of(entries),
        ),
    )
    return folder


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(
        tmp_path_factory.mktemp("data") / "heads",
        {
            Split.TEST: [study("a", bleeds=True), study("b", bleeds=False)],
            Split.VALIDATION: [
                study("c", bleeds=True, truth="binary"),
                study("d", bleeds=True, truth="slices"),
                study("e", bleeds=False, truth="slices"),
            ],
            Split.TRAIN: [study("f", bleeds=True, truth="slices")],
        },
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = {
        "in_channels": SPEC.num_channels,
        "image_size": SPEC.size,
        "base_width": 4,
        "token_width": 8,
        "num_layers": 1,
        "num_heads": 2,
    }
    card = ModelCard(
        name="tiny",
        version="1",
        network="sym-transnet-lite",
        network_config=config,
        input=SPEC,
        thresholds=Thresholds(0.3, 0.6, {subtype.name: 0.5 for subtype in Subtype}),
        data="none",
        recipe={},
        metrics={},
        code_version="0",
    )
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save(path, registry.build(card.network, config), card)
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, data_set: Path, weights: Path) -> Path:
    out = tmp_path_factory.mktemp("out") / "report"
    result = run(data_set, "--out", out, "--weights", weights, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "2 studies, 1 with a bleed" in result.stdout
    assert "Not for diagnosis" in result.stdout
    return out


def test_a_report_names_model_data_and_disclaimer(
    report: Path, data_set: Path, weights: Path
) -> None:
    text = (report / "report.md").read_text()
    assert "# tiny 1 on heads (heads), test" in text
    assert read_manifest(data_set).digest in text
    assert read_card(weights.with_suffix(".json")).weights_sha256 in text
    assert "Not for diagnosis" in text
    assert str(data_set.parent) not in text
    assert "](overlays.png)" in text
    assert {path.name for path in report.iterdir()} >= {"overlays.png", "figures.json", "dice.png"}


def test_what_is_finished_is_not_computed_again(
    report: Path, data_set: Path, weights: Path
) -> None:
    before = {path.name: path.read_bytes() for path in report.iterdir()}
    result = run(data_set, "--out", report, "--weights", weights, "--device", "cpu")
    assert result.exit_code == 0
    assert {path.name: path.read_bytes() for path in report.iterdir()} == before


def test_validation_studies_give_thresholds_and_studies_without_a_mask_are_left_out(
    data_set: Path, weights: Path, tmp_path: Path
) -> None:
    result = run(
        data_set, "--out", tmp_path, "--weights", weights, "--split", "validation", "--json"
    )
    assert result.exit_code == 0, result.output
    held = json.loads(result.stdout)
    # one is outlined without a subtype, one is known to be healthy, one has labels of slices only
    assert held["summary"]["num_studies"] == 2
    assert held["provenance"]["left_out"] == {"no mask": 1}
    kinds = {each["kind"]: each["num_present"] for each in held["summary"]["kinds"]}
    assert kinds == {"ICH": 1, "IPH": 0, "IVH": 0, "EDH": 0, "SDH": 0, "SAH": 0}
    thresholds = json.loads((tmp_path / "thresholds.json").read_text())
    assert 0 <= thresholds["lower_score"] <= thresholds["upper_score"] <= 1


def test_a_limit_takes_the_first_studies(data_set: Path) -> None:
    chosen = choose_studies(data_set, "test", limit=1)
    assert [each.study_id for each in chosen.studies] == ["a"]
    assert chosen.left_out == {"beyond the limit": 1}


def test_a_folder_without_a_manifest_is_a_mistake(tmp_path: Path) -> None:
    result = run(tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "holds no manifest.json" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_split_without_masks_is_a_mistake(data_set: Path, weights: Path, tmp_path: Path) -> None:
    result = run(data_set, "--out", tmp_path, "--weights", weights, "--split", "train")
    assert result.exit_code == 2
    assert "no study of the split 'train' has a mask" in result.stderr


def test_a_study_that_was_changed_is_not_measured(
    data_set: Path, weights: Path, tmp_path: Path
) -> None:
    manifest = read_manifest(data_set)
    copy = write_data_set(tmp_path / "copy", {Split.TEST: [study("a", bleeds=True)]})
    write_study(copy / "studies" / "a.npz", study("a", bleeds=False))
    result = run(copy, "--out", tmp_path / "out", "--weights", weights)
    assert result.exit_code == 1
    assert "is not the file of the manifest" in result.stderr
    assert manifest.digest != read_manifest(copy).digest


def test_an_unwritable_folder_is_named(data_set: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(data_set, "--out", tmp_path / "file" / "x", "--weights", weights)
    assert result.exit_code == 2
    assert "cannot be used (Not a directory)" in result.stderr


def test_what_is_not_installed_is_named(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "node.cli.measuring")
    monkeypatch.delattr("node.cli.measuring")
    # a name that is None in there cannot be imported
    monkeypatch.setitem(sys.modules, "ml.evaluation.figures", None)
    result = run(data_set, "--out", tmp_path)
    assert result.exit_code == 2
    assert "pip install 'midline[train]'" in result.stderr


OUTCOMES = {
    Outcome.POSITIVE: Decision.POSITIVE,
    Outcome.PARTIAL: Decision.BORDERLINE,
    Outcome.NEGATIVE: Decision.NEGATIVE,
}


@pytest.mark.parametrize("score", [0.0, 0.29, 0.3, 0.5, 0.6, 1.0])
@pytest.mark.parametrize("subtypes", [(), (Subtype.SDH,)])
@pytest.mark.parametrize("least_ml", [0.1, 1000.0])
def test_an_evaluation_decides_as_the_node_does(
    score: float, subtypes: tuple[Subtype, ...], least_ml: float
) -> None:
    grid = make_grid()
    thresholds = Thresholds(0.3, 0.6, {subtype.name: least_ml for subtype in Subtype})
    prediction = Prediction(
        mask=make_mask(grid, subtypes),
        certainty_percent=dict.fromkeys(subtypes, 90.0),
        case_score=score,
        alignment=Alignment.identity(grid),
    )
    concluded = conclude(make_series(grid), prediction, thresholds).result
    measured = assess(
        prediction,
        make_mask(grid, (Subtype.SDH,)),
        study_id="s",
        patient_id="p",
        minimum_ml={subtype: thresholds.minimum_of(subtype) for subtype in Subtype},
        seconds=0.0,
    )
    assert decide(measured, thresholds) is OUTCOMES[concluded.outcome]
    if concluded.outcome is Outcome.POSITIVE:
        assert measured.of["SDH"].said_ml == pytest.approx(concluded.findings[0].volume_ml)

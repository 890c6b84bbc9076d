"""``midline synth`` and ``midline segment``, and the mistakes that can be made with them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.errors import Reason
from node.cli import app
from node.cli.segmenting import Segmented, write_summary
from node.cli.sending import find_files
from node.results.outcomes import StudyResult
from tests.support.ct_series import head_series
from tests.support.result_inputs import FAMILIAR, UNFAMILIAR


def synth(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["synth", *arguments], prog_name="midline")


def test_synthetic_studies_can_be_sent_as_they_are(tmp_path: Path) -> None:
    result = synth(str(tmp_path), "--studies", "2", "--slices", "3", "--subtypes", "none")
    assert result.exit_code == 0
    assert "study02" in result.stdout
    files = find_files(tmp_path)
    assert len(files) == 6
    assert {file.path.parent.name for file in files} == {"ct"}


def test_a_study_is_never_mixed_with_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "study02").mkdir()
    result = synth(str(tmp_path), "--studies", "2")
    assert result.exit_code == 2
    assert "study02 exists already" in result.stderr
    assert not (tmp_path / "study01").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = synth(str(tmp_path / "file" / "x"), "--studies", "1", "--slices", "2")
    assert result.exit_code == 2
    assert "cannot be written (Not a directory)" in result.stderr


def test_a_subtype_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    result = synth(str(tmp_path), "--subtypes", "IPH,XYZ")
    assert result.exit_code == 2
    assert result.stderr.startswith("midline: there is no subtype 'XYZ'")


def segment(folder: Path, *arguments: str) -> Result:
    (folder / "ct").mkdir()
    head_series()[0].save_as(folder / "ct" / "a.dcm", enforce_file_format=True)
    command = ["segment", str(folder / "ct"), "--out", str(folder / "out"), *arguments]
    return CliRunner().invoke(app, command, prog_name="midline")


def test_a_model_whose_weights_do_not_ship_is_one_clear_line(tmp_path: Path) -> None:
    result = segment(tmp_path, "--model", "sym-transnet")
    assert result.exit_code == 2
    assert result.stderr.startswith("midline: no weights ship for 'sym-transnet', only for ")
    assert "--weights" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    result = segment(tmp_path, "--model", "resnet")
    assert result.exit_code == 2
    assert result.stderr.startswith("midline: there is no model 'resnet'")


def test_a_model_is_named_or_a_file_but_not_both(tmp_path: Path) -> None:
    weights = tmp_path / "other.safetensors"
    weights.touch()
    result = segment(tmp_path, "--model", "sym-transnet-lite", "--weights", str(weights))
    assert result.exit_code == 2
    assert "--model and --weights exclude each other" in result.stderr


def test_naming_a_model_sets_the_file_of_the_site_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDLINE_ANALYSIS__WEIGHTS", str(tmp_path / "absent.safetensors"))
    assert "absent.json cannot be read" in segment(tmp_path).stderr
    (tmp_path / "other").mkdir()
    result = segment(tmp_path / "other", "--model", "sym-transnet")
    assert "no weights ship for 'sym-transnet'" in result.stderr


def test_the_summary_shows_score_and_quality(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts: dict[str, object] = {"seconds": 1.0, "disclaimer": "Research use only."}

    def summary(result: StudyResult) -> str:
        write_summary(Segmented(result, (), b"", facts), [tmp_path / "report.dcm"])
        return " ".join(capsys.readouterr().out.split())

    familiar = StudyResult.negative(num_images=12, case_score_percent=3.2, familiarity=FAMILIAR)
    assert "AI score 3 % (not a probability)" in summary(familiar)
    assert "like those of the training: distance 0.61, limit 1.25, 48 % of" in summary(familiar)
    strange = StudyResult.partial(Reason.QUALITY, num_images=12, familiarity=UNFAMILIAR)
    assert "UNLIKE those of the training: distance 2.38" in summary(strange)
    assert "noise 9.1 HU, usual 1.5 to 6.0" in summary(strange)
    failed = StudyResult.failed(Reason.FORMAT)
    assert "Images" not in summary(failed)

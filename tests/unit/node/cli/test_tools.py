"""``midline synth`` and the mistakes that can be made with it."""

from pathlib import Path

from typer.testing import CliRunner, Result

from node.cli import app
from node.cli.sending import find_files


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

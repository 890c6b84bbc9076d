"""``midline data``: what a person does with data sets, and the mistakes that can be made."""

import json
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer.testing import CliRunner, Result

from ml.data.layouts import LAYOUTS
from ml.data.sources import MissingMasks
from ml.phantom import Difficulty
from ml.volume import Subtype
from node.cli import data
from node.cli.border import CommandGroup
from tests.unit.ml.data import published
from tests.unit.ml.data.published import blob, nifti_folders, write_pair


def midline(*arguments: object) -> Result:
    app = typer.Typer(cls=CommandGroup)
    app.add_typer(data.app, name="data")
    app.command("other")(lambda: None)
    return CliRunner().invoke(app, ["data", *map(str, arguments)], prog_name="midline")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    nifti_folders(folder, {f"P{number}": blob(number % 2 * Subtype.SDH) for number in range(10)})
    return folder


def test_a_data_set_is_made_and_shown(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    made = midline("prepare", source, "--layout", "nifti", "--out", out, "--split-seed", 3)
    assert made.exit_code == 0, made.stderr
    shown = midline("show", out)
    assert shown.exit_code == 0
    rows = {line.split()[1]: line.split() for line in shown.stdout.splitlines() if "│" in line}
    assert rows["all"][3:9:2] == ["10", "10", "5"]
    assert "verified" in shown.stdout
    assert "10 subtype mask" in shown.stdout


def test_a_program_gets_the_same_as_json(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    command = ("prepare", source, "--layout", "nifti", "--out", out, "--shares", "0.5,0.1,0.4")
    made = json.loads(midline(*command, "--json").stdout)
    shown = json.loads(midline("show", out, "--json").stdout)
    assert shown == {**made, "faults": []}
    assert made["layout"] == "nifti"
    assert len(made["digest"]) == 64
    counts = made["splits"]
    assert [counts[split]["patients"] for split in ("train", "validation", "test")] == [6, 0, 4]
    assert sum(counts[split]["subtypes"]["SDH"] for split in counts) == 5
    assert counts["test"]["slice_thickness_mm"] == {"4.8": 4}


def test_a_changed_file_is_named_and_the_exit_code_says_so(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    midline("prepare", source, "--layout", "nifti", "--out", out)
    file = next((out / "studies").iterdir())
    file.write_bytes(b"")
    result = midline("show", out)
    assert result.exit_code == 1
    assert f"studies/{file.name} was changed" in result.stderr
    assert "verified" not in result.stdout


def test_faulty_studies_are_one_line_and_can_be_left_out(source: Path, tmp_path: Path) -> None:
    (source / "labels" / "P3.nii.gz").unlink()
    command = ("prepare", source, "--layout", "nifti", "--out", tmp_path / "set")
    refused = midline(*command)
    assert refused.exit_code == 1
    (line,) = refused.stderr.splitlines()
    assert "1 of 10 studies are faulty" in line
    assert "images/P3.nii.gz: its mask is missing" in line
    left_out = midline(*command, "--skip-faulty", "--json")
    assert left_out.exit_code == 0
    assert len(json.loads(left_out.stdout)["skipped"]) == 1


def test_masks_mean_what_a_person_says(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pair(
            tmp_path / "in" / "images" / f"{name}.nii",
            tmp_path / "in" / "labels" / f"{name}.nii" if name == "a" else None,
            blob(255),
        )
    command = ("prepare", tmp_path / "in", "--layout", "nifti", "--json", "--missing-masks")
    made = midline(*command, "empty", "--subtype", "EDH", "--out", tmp_path / "1")
    assert json.loads(made.stdout)["splits"]["train"]["labels"] == {"subtype mask": 2}
    made = midline(*command, "unlabelled", "--binary", "--out", tmp_path / "2")
    counts = json.loads(made.stdout)["splits"]["train"]
    assert counts["labels"] == {"binary mask": 1, "none": 1}
    assert (counts["bleed"], counts["unknown"]) == (1, 1)


def test_a_key_hides_patients_from_those_without_it(source: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    digests = set()
    for name, extra in (("a", ()), ("b", ("--key-file", tmp_path / "key"))):
        made = midline(
            "prepare", source, "--layout", "nifti", "--out", tmp_path / name, "--json", *extra
        )
        digests.add(json.loads(made.stdout)["digest"])
    assert len(digests) == 2


def test_phantoms_are_made_as_a_data_set(tmp_path: Path) -> None:
    command = ("phantoms", "--num", 2, "--first-seed", 900, "--matrix", 32, "--workers", 1)
    made = midline(
        *command, "--out", tmp_path / "set", "--healthy", 1, "--shares", "0,0,1", "--json"
    )
    assert made.exit_code == 0, made.stderr
    counts = json.loads(made.stdout)
    assert (counts["layout"], counts["splits"]["test"]["no_bleed"]) == ("phantoms", 2)
    assert midline("show", tmp_path / "set").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("prepare", "nowhere", "--layout", "nifti", "--out", "x"), 2, "nowhere is no folder"),
        (("prepare", ".", "--layout", "other", "--out", "x"), 2, "'other' is not one of"),
        (("prepare", "{s}", "--layout", "bhsd", "--out", "x"), 2, "looked for label_192/images"),
        (("prepare", "{s}", "--layout", "nifti", "--out", "{s}"), 2, "exists already"),
        (
            ("prepare", "{s}", "--layout", "bhsd", "--out", "x", "--binary"),
            2,
            "are for the layout nifti",
        ),
        (
            ("prepare", "{s}", "--layout", "nifti", "--out", "x", "--binary", "--subtype", "SDH"),
            2,
            "not both",
        ),
        (
            ("prepare", "{s}", "--layout", "nifti", "--out", "x", "--shares", "1"),
            2,
            "three numbers",
        ),
        (
            ("prepare", "{s}", "--layout", "nifti", "--out", "x", "--shares", "1,1,1"),
            2,
            "together 1",
        ),
        (
            ("prepare", "{s}", "--layout", "nifti", "--out", "x", "--key-file", "nothing"),
            2,
            "nothing cannot be read",
        ),
        (("show", "{s}"), 2, "holds no manifest.json"),
    ],
)
def test_a_mistake_is_one_line(
    source: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = midline(*(argument.format(s=source) for argument in arguments))
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    assert line.startswith("midline: ")
    assert message in line


def test_an_empty_key_is_a_mistake(source: Path, tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    command = ("prepare", source, "--layout", "nifti", "--out", tmp_path / "x")
    result = midline(*command, "--key-file", tmp_path / "key")
    assert (result.exit_code, "holds no secret" in result.stderr) == (2, True)


def test_every_published_layout_can_be_named(tmp_path: Path) -> None:
    published.ct_ich(tmp_path / "in", {49: blob(1), 50: blob(0)}, "Epidural")
    made = midline(
        "prepare", tmp_path / "in", "--layout", "ct-ich", "--out", tmp_path / "x", "--json"
    )
    assert json.loads(made.stdout)["splits"]["train"]["labels"] == {"binary mask": 2}
    assert set(get_args(data.LayoutName)) == set(LAYOUTS)


def test_names_on_the_command_line_are_those_of_the_science() -> None:
    assert set(get_args(data.MissingMasksName)) == {str(meaning) for meaning in MissingMasks}
    assert set(get_args(data.SubtypeName)) == {subtype.name for subtype in Subtype}
    assert set(get_args(data.DifficultyName)) == {str(difficulty) for difficulty in Difficulty}

"""A source becomes a data set that is whole, split by patient, and the same each time."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.errors import InputError, UsageError
from ml.data.identity import Pseudonyms
from ml.data.layouts import LAYOUTS
from ml.data.manifest import Manifest, read_manifest, studies_of, verify
from ml.data.prepare import Making, find_studies, finished, prepare
from ml.data.sources import MissingMasks, Options
from ml.data.splits import Shares
from ml.data.studies import LabelKind
from ml.volume import Subtype
from tests.unit.ml.data.published import blob, nifti_folders, scan, write_nifti, write_pair

NOW = datetime(2031, 3, 4, 5, 6, 7, tzinfo=UTC)
LAYOUT = LAYOUTS["nifti"]


def run(source: Path, out: Path, *, options: Options | None = None, **choices: Any) -> Manifest:
    options = options or Options()
    found = find_studies(source, LAYOUT, options)
    division = {key: choices.pop(key) for key in ("shares", "split_seed") if key in choices}
    making = Making(NOW, "0.1.0", **division)
    return prepare(found, out, layout=LAYOUT, options=options, making=making, **choices)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Eight patients, of whom four bleed; the first has three studies."""
    folder = tmp_path / "source"
    names = {f"P{number}": blob(number % 2 * 5) for number in range(1, 8)}
    nifti_folders(folder, {**names, **{f"P0__day{day}": blob(day) for day in range(3)}})
    return folder


def test_what_is_read_back_is_what_was_there(source: Path, tmp_path: Path) -> None:
    manifest = run(source, tmp_path / "out")
    assert read_manifest(tmp_path / "out") == manifest
    assert verify(tmp_path / "out", manifest) == ()
    assert (manifest.layout, manifest.created) == ("nifti", "2031-03-04T05:06:07+00:00")
    assert manifest.options["missing_masks"] == "refuse"
    by_id = {study.study_id: study for study in studies_of(tmp_path / "out", manifest)}
    names = Pseudonyms("nifti")
    study = by_id[names.of_study("P0", "P0__day2")]
    assert study.patient_id == names.of_patient("P0")
    assert study.mask is not None
    np.testing.assert_array_equal(study.mask.labels, blob(Subtype.IVH))
    assert len(by_id) == 10


def test_no_name_of_the_source_is_in_the_data_set(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out", key=b"secret")
    text = (tmp_path / "out" / "manifest.json").read_text()
    assert "P0" not in text
    assert "day" not in text
    assert str(tmp_path) not in text


def test_all_studies_of_a_patient_are_in_one_split(source: Path, tmp_path: Path) -> None:
    for seed in range(5):
        manifest = run(
            source, tmp_path / f"out{seed}", split_seed=seed, shares=Shares(0.4, 0.3, 0.3)
        )
        patient = Pseudonyms("nifti").of_patient("P0")
        splits = {entry.split for entry in manifest.studies if entry.patient_id == patient}
        assert len(splits) == 1


def test_a_patient_who_bleeds_in_one_study_counts_as_bleeding(source: Path, tmp_path: Path) -> None:
    # P0 bleeds on two of three days; with her, 5 of 8 patients bleed, and 1 of 5 is tested
    manifest = run(source, tmp_path / "out", shares=Shares(0.8, 0.0, 0.2))
    tested = {entry.patient_id for entry in manifest.studies if entry.split == "test"}
    bleeding = {entry.patient_id for entry in manifest.studies if entry.bleeds}
    assert len(bleeding) == 5
    assert len(tested & bleeding) == 1


def test_a_patient_bleeds_who_bleeds_in_any_study(source: Path, tmp_path: Path) -> None:
    (template, *_) = run(source, tmp_path / "out").studies
    said: dict[str, tuple[bool | None, ...]] = {
        "bleeds first": (True, False),
        "bleeds last": (False, None, True),
        "healthy": (False, None),
        "unknown": (None, None),
    }
    # two of each, of whom one is trained on: that is what a group of two becomes
    entries = [
        replace(template, study_id=f"{who} {twin} {number}", patient_id=f"{who} {twin}", bleeds=b)
        for who, studies in said.items()
        for twin in range(2)
        for number, b in enumerate(studies)
    ]
    making = Making(NOW, "0.1.0", Shares(0.5, 0, 0.5))
    manifest = finished(entries, (), layout="x", options={}, making=making)
    trained = {e.patient_id for e in manifest.studies if e.split == "train"}
    counts = Counter(patient.split()[0] for patient in trained)
    assert counts == {"bleeds": 2, "healthy": 1, "unknown": 1}


def test_the_same_source_gives_the_same_digest_on_another_day(source: Path, tmp_path: Path) -> None:
    first = run(source, tmp_path / "a")
    assert run(source, tmp_path / "b").digest == first.digest
    others = [run(source, tmp_path / f"c{seed}", split_seed=seed) for seed in (1, 2, 3)]
    assert any(other.digest != first.digest for other in others)
    assert run(source, tmp_path / "d", key=b"k").digest != first.digest


def test_all_faulty_studies_are_named_and_nothing_is_written(source: Path, tmp_path: Path) -> None:
    (source / "labels" / "P3.nii.gz").unlink()
    (source / "images" / "P5.nii.gz").write_bytes(b"no nifti")
    write_nifti(source / "labels" / "P6.nii.gz", blob(7), scan().grid, dtype="uint8")
    with pytest.raises(InputError) as raised:
        run(source, tmp_path / "out")
    message = str(raised.value)
    assert message.startswith("3 of 10 studies are faulty, and nothing was written")
    assert "images/P3.nii.gz: its mask is missing" in message
    assert "images/P5.nii.gz: P5.nii.gz cannot be read" in message
    assert "images/P6.nii.gz: the mask has the value 7" in message
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_faulty_studies_are_left_out_on_demand_and_recorded(source: Path, tmp_path: Path) -> None:
    (source / "labels" / "P3.nii.gz").unlink()
    (source / "images" / "P4.nii.gz").unlink()
    manifest = run(source, tmp_path / "out", skip_faulty=True)
    assert len(manifest.studies) == 8
    names = Pseudonyms("nifti")
    faults = {study.study_id: study.fault for study in manifest.skipped}
    assert set(faults) == {names.of_study("P3", "P3"), names.of_study("P4", "P4")}
    assert faults[names.of_study("P4", "P4")] == "the image of this mask is missing"
    assert verify(tmp_path / "out", read_manifest(tmp_path / "out")) == ()


@pytest.mark.parametrize(
    ("meaning", "kind", "bleeds"),
    [
        (MissingMasks.UNLABELLED, LabelKind.NONE, None),
        (MissingMasks.EMPTY, LabelKind.SUBTYPES, False),
    ],
)
def test_a_person_says_what_a_missing_mask_means(
    source: Path, tmp_path: Path, meaning: MissingMasks, kind: LabelKind, bleeds: bool | None
) -> None:
    (source / "labels" / "P3.nii.gz").unlink()
    manifest = run(source, tmp_path / "out", options=Options(missing_masks=meaning))
    study_id = Pseudonyms("nifti").of_study("P3", "P3")
    (entry,) = [entry for entry in manifest.studies if entry.study_id == study_id]
    assert (entry.labels, entry.bleeds) == (kind, bleeds)
    assert manifest.options["missing_masks"] == meaning


def test_an_existing_folder_is_never_touched(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        run(source, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_cannot_be_written_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be written \(Not a directory\)"):
        run(source, tmp_path / "file" / "out")


def test_nothing_is_left_behind_when_the_run_is_interrupted(source: Path, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out", step=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_source_that_is_empty_or_none_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        find_studies(tmp_path / "nowhere", LAYOUT, Options())
    for folder in ("images", "labels"):
        (tmp_path / "empty" / folder).mkdir(parents=True)
    with pytest.raises(UsageError, match="looked for images"):
        find_studies(tmp_path / "empty", LAYOUT, Options())


def test_nothing_left_is_a_mistake(tmp_path: Path) -> None:
    write_pair(tmp_path / "source" / "images" / "a.nii", None, blob(1))
    with pytest.raises(UsageError, match="no study is left"):
        run(tmp_path / "source", tmp_path / "out", skip_faulty=True)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_says_what_it_looked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"has not the layout {name}: looked for "):
        find_studies(tmp_path, LAYOUTS[name], Options())


def test_choices_that_exclude_each_other_are_a_mistake() -> None:
    with pytest.raises(UsageError, match="not both"):
        Options(binary=True, subtype=Subtype.SDH)

"""The manifest is checked when it is read, the files when they are verified."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.errors import UnreadableInputError, UsageError
from ml.data.manifest import (
    Manifest,
    digest_of,
    entry_of,
    read_manifest,
    studies_of,
    verify,
    write_manifest,
)
from ml.data.splits import Shares, Split
from ml.data.studies import LabelKind, Study, Truth, write_study
from ml.volume import Mask, Subtype
from tests.unit.ml.data.published import blob, scan, tilted_grid


def make(folder: Path, **changes: Any) -> Manifest:
    """Two studies of one patient who is tested, and one of another."""
    (folder / "studies").mkdir(parents=True)
    entries = []
    for index, split in enumerate((Split.TEST, Split.TEST, Split.TRAIN)):
        mask = Mask(blob(Subtype.EDH if index else 0), tilted_grid())
        study = Study(f"s{index}", f"p{index // 2}", scan(index), Truth(mask=mask))
        path = folder / "studies" / f"s{index}.npz"
        write_study(path, study)
        entries.append(entry_of(study, path, split))
    studies = tuple(entries)
    manifest = Manifest(
        layout="test",
        created="2031-03-04T05:06:07+00:00",
        code_version="0.1.0",
        split_seed=0,
        shares=Shares(),
        options={},
        studies=studies,
        skipped=(),
        digest=digest_of(studies),
    )
    write_manifest(folder, replace(manifest, **changes))
    return manifest


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = make(tmp_path / "set")
    assert read_manifest(tmp_path / "set") == manifest
    entry = manifest.of(Split.TRAIN)[0]
    assert (entry.study_id, entry.patient_id, entry.labels) == ("s2", "p1", LabelKind.SUBTYPES)
    assert (entry.has_mask, entry.bleeds, entry.subtypes) == (True, True, ("EDH",))
    assert entry.num_slices == 4
    assert entry.slice_step_mm == pytest.approx(5 * np.cos(np.deg2rad(15)), abs=1e-4)
    assert entry.slice_thickness_mm == entry.slice_step_mm


def test_the_digest_does_not_depend_on_the_date_but_on_everything_else(tmp_path: Path) -> None:
    manifest = make(tmp_path / "a")
    assert make(tmp_path / "b", created="2040-01-01").digest == manifest.digest
    first, *others = manifest.studies
    for changed in (
        replace(first, split=Split.TRAIN),
        replace(first, sha256="0"),
        replace(first, labels=LabelKind.BINARY),
    ):
        assert digest_of((changed, *others)) != manifest.digest


def test_studies_of_a_split_are_read_one_by_one(tmp_path: Path) -> None:
    manifest = make(tmp_path / "set")
    names = [study.study_id for study in studies_of(tmp_path / "set", manifest, Split.TEST)]
    assert names == ["s0", "s1"]
    assert len(list(studies_of(tmp_path / "set", manifest))) == 3


def test_a_changed_a_missing_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    manifest = make(folder)
    assert verify(folder, manifest) == ()
    changed = folder / "studies" / "s0.npz"
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    (folder / "studies" / "s1.npz").unlink()
    (folder / "studies" / "s9.npz").touch()
    steps: list[int] = []
    faults = verify(folder, manifest, step=lambda: steps.append(1))
    assert faults == (
        "studies/s0.npz was changed",
        "studies/s1.npz is missing",
        "studies/s9.npz is not in the manifest",
    )
    assert len(steps) == 3


def _other_split(plain: dict[str, Any]) -> None:
    plain["studies"][1]["split"] = "train"


def _twice(plain: dict[str, Any]) -> None:
    plain["studies"].append(plain["studies"][0])


def _outside(plain: dict[str, Any]) -> None:
    plain["studies"][0]["file"] = "../s0.npz"


def _unknown_subtype(plain: dict[str, Any]) -> None:
    plain["studies"][0]["subtypes"] = ["XYZ"]


def _other_format(plain: dict[str, Any]) -> None:
    plain["format"] = "midline-dataset-9"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_split, "a patient is in two splits"),
        (_twice, "a study is there twice"),
        (_outside, "not named after its study"),
        (_unknown_subtype, "a subtype is unknown"),
        (_other_format, "the format is not"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    manifest = make(tmp_path)
    plain = asdict(manifest)
    plain["studies"] = [dict(entry) for entry in plain["studies"]]
    change(plain)
    entries = tuple(replace(manifest.studies[0], **entry) for entry in plain["studies"])
    plain["digest"] = digest_of(entries)
    (tmp_path / "manifest.json").write_text(json.dumps(plain))
    with pytest.raises(UnreadableInputError, match=message):
        read_manifest(tmp_path)


def test_an_entry_that_was_edited_is_noticed(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"EDH"', '"SDH"'))
    with pytest.raises(UnreadableInputError, match="changed after it was written"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"studies": 3}'])
def test_another_file_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UnreadableInputError, match="no manifest of a data set"):
        read_manifest(tmp_path)


def test_a_folder_without_manifest_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no manifest\.json"):
        read_manifest(tmp_path)

"""Synthetic studies on the disk: what was asked for, and the truth beside it."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from config.errors import UsageError
from ml.phantom import Scan
from ml.volume import Subtype
from node.demo.studies import (
    SyntheticHead,
    SyntheticStudy,
    in_words,
    parse_subtypes,
    plan,
    write_study,
)

SMALL = Scan(num_slices=16, matrix=64, slice_step_mm=10.0)
HEAD = SyntheticHead("Subdural", 4, (Subtype.SDH,), localizer=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStudy:
    return write_study(tmp_path_factory.mktemp("synth") / "study01", HEAD, scan=SMALL)


def test_the_images_are_one_study_with_a_localizer(study: SyntheticStudy) -> None:
    headers = [dcmread(path) for path in study.images]
    assert {str(header.StudyInstanceUID) for header in headers} == {study.study_instance_uid}
    assert [header.ImageType[2] for header in headers].count("LOCALIZER") == 1
    assert len(study.images) == len(study.slices) + 1 == 17
    assert {path.parent.name for path in study.images} == {"ct"}


def test_the_true_mask_has_the_volumes_that_are_written_beside_it(study: SyntheticStudy) -> None:
    truth = json.loads((study.folder / "truth.json").read_text())
    with np.load(study.folder / "truth.npz", allow_pickle=False) as arrays:
        labels = arrays["labels"]
    assert labels.shape == (16, 64, 64)
    assert set(np.unique(labels)) == {0, Subtype.SDH}
    pixel_mm = 230.0 / 64
    volume_ml = (labels == truth["labels"]["SDH"]).sum() * pixel_mm**2 * 10 / 1000
    assert truth["volumes_ml"] == {"SDH": pytest.approx(volume_ml, abs=0.01)}
    assert [study.folder / name for name in truth["slices"]] == list(study.slices)


def test_no_dicom_file_lies_beside_the_images(study: SyntheticStudy) -> None:
    assert {path.name for path in study.folder.iterdir()} == {"ct", "truth.npz", "truth.json"}


def test_other_content_never_comes_under_the_same_uids(
    study: SyntheticStudy, tmp_path: Path
) -> None:
    again = write_study(tmp_path / "same", HEAD, scan=SMALL)
    assert again.study_instance_uid == study.study_instance_uid
    assert again.slices[3].read_bytes() == study.slices[3].read_bytes()
    coarse = Scan(num_slices=16, matrix=72, slice_step_mm=10.0)
    other = write_study(tmp_path / "other", HEAD, scan=coarse)
    assert other.study_instance_uid != study.study_instance_uid


def test_slices_that_miss_the_head_are_a_mistake(tmp_path: Path) -> None:
    everything = SyntheticHead("all of it", 4, tuple(Subtype))
    with pytest.raises(UsageError, match="the slices do not show all of it"):
        write_study(tmp_path, everything, scan=Scan(num_slices=2, matrix=64, slice_step_mm=0.5))


def test_by_default_the_subtypes_come_in_turn_and_then_healthy_heads() -> None:
    heads = plan(7, subtypes=None, seed=10)
    assert [head.subtypes for head in heads] == [
        *((subtype,) for subtype in Subtype),
        (),
        (),
    ]
    assert [head.seed for head in heads] == list(range(10, 17))


def test_all_heads_may_have_the_same() -> None:
    heads = plan(2, subtypes=parse_subtypes("ivh, IPH,iph"), seed=1)
    assert {head.subtypes for head in heads} == {(Subtype.IPH, Subtype.IVH)}
    assert plan(1, subtypes=parse_subtypes("none"), seed=1)[0].subtypes == ()


def test_an_unknown_subtype_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="no subtype 'XYZ'; known are IPH, IVH, EDH, SDH, SAH"):
        parse_subtypes("IPH,XYZ")


def test_volumes_are_written_the_largest_first() -> None:
    assert in_words({Subtype.IPH: 1.24, Subtype.SDH: 30.0}) == "SDH 30.0 ml, IPH 1.2 ml"
    assert in_words({}) == "none"

"""Patients of a data set: each label says what it says, and no more."""

from pathlib import Path

import numpy as np
import pytest

from config.errors import UnreadableInputError, UsageError
from ml.data.manifest import MANIFEST, STUDIES
from ml.data.splits import Split
from ml.preprocess import InputSpec
from ml.training.datasets import UNNAMED
from ml.training.sources import prepare_dataset
from ml.volume import Subtype
from tests.support.square_heads import Plan, write_square_heads

SPEC = InputSpec(size=64, pixel_mm=3.2, windows=((50.0, 100.0),), num_slices=1)
PLAN: Plan = (
    (Split.TRAIN, Subtype.SDH, "subtypes"),
    (Split.TRAIN, Subtype.IPH, "voxels"),
    (Split.TRAIN, None, "slices"),
    (Split.TRAIN, Subtype.SAH, "slices"),
    (Split.TRAIN, None, "nothing"),
    (Split.VALIDATION, Subtype.EDH, "subtypes"),
    (Split.VALIDATION, Subtype.EDH, "slices"),
    (Split.TEST, Subtype.IVH, "subtypes"),
    (Split.TEST, None, "nothing"),
)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Align here: a process takes seconds to start."""

    class Here:
        def __init__(self, *_: object, **__: object) -> None:
            self.result = lambda: None

        def __enter__(self) -> "Here":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def submit(self, call: object, *arguments: object) -> "Here":
            assert callable(call)
            call(*arguments)
            return self

    monkeypatch.setattr("ml.training.sources.ProcessPoolExecutor", Here)


@pytest.mark.usefixtures("in_this_process")
def test_each_study_is_used_for_what_its_labels_say(tmp_path: Path) -> None:
    manifest = write_square_heads(tmp_path / "set", PLAN)
    prepared = prepare_dataset(tmp_path / "set", SPEC, tmp_path / "cache", num_workers=1)
    splits = prepared.splits
    named, unnamed, healthy = splits.train
    assert set(np.unique(named.labels)) == {0, Subtype.SDH}
    assert set(np.unique(unnamed.labels)) == {0, UNNAMED}
    assert not healthy.labels.any()
    assert len(splits.unlabelled) == 2
    assert [set(np.unique(case.labels)) for case in splits.validation] == [{0, Subtype.EDH}]
    assert [set(np.unique(case.labels)) for case in splits.test] == [{0, Subtype.IVH}]
    assert prepared.num_left_out == 2
    assert prepared.digest == manifest.digest
    assert prepared.counts["train, without labels of voxels"] == 2


@pytest.mark.usefixtures("in_this_process")
def test_labels_lie_on_the_blood_after_alignment(tmp_path: Path) -> None:
    write_square_heads(tmp_path / "set", PLAN)
    case = prepare_dataset(tmp_path / "set", SPEC, tmp_path / "cache", num_workers=1).splits.train[
        0
    ]
    blood = case.labels > 0
    assert case.hu[blood].mean() > 55
    assert blood.sum() == pytest.approx(4 * 12 * 12, rel=0.15)


@pytest.mark.usefixtures("in_this_process")
def test_studies_are_aligned_once(tmp_path: Path) -> None:
    write_square_heads(tmp_path / "set", PLAN)
    first = prepare_dataset(tmp_path / "set", SPEC, tmp_path / "cache", num_workers=1)
    for file in (tmp_path / "set" / STUDIES).iterdir():
        file.unlink()
    again = prepare_dataset(tmp_path / "set", SPEC, tmp_path / "cache", num_workers=1)
    for before, after in zip(first.splits.train, again.splits.train, strict=True):
        assert np.array_equal(before.hu, after.hu)


@pytest.mark.usefixtures("in_this_process")
def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    write_square_heads(tmp_path / "set", PLAN)
    studies = tmp_path / "set" / STUDIES
    (studies / "head00.npz").write_bytes((studies / "head01.npz").read_bytes())
    with pytest.raises(UnreadableInputError, match=r"head00\.npz was changed"):
        prepare_dataset(tmp_path / "set", SPEC, tmp_path / "cache", num_workers=1)


@pytest.mark.parametrize(
    ("left", "lacks"), [(Split.VALIDATION, "train"), (Split.TRAIN, "validate")]
)
def test_a_data_set_without_masks_to_learn_from_is_refused(
    tmp_path: Path, left: Split, lacks: str
) -> None:
    write_square_heads(tmp_path / "set", [each for each in PLAN if each[0] is left])
    with pytest.raises(UsageError, match=f"no study with a mask to {lacks} on"):
        prepare_dataset(tmp_path / "set", SPEC, tmp_path / "cache", num_workers=1)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"holds no {MANIFEST}"):
        prepare_dataset(tmp_path, SPEC, tmp_path / "cache", num_workers=1)

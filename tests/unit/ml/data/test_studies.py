"""A study comes back from the disk as it was, and says no more than is known."""

from pathlib import Path

import numpy as np
import pytest

from config.errors import UnreadableInputError
from ml.data.studies import LabelKind, Study, Truth, read_study, write_study
from ml.volume import Mask, Subtype, Volume
from tests.unit.ml.data.published import SHAPE, blob, scan, tilted_grid


def slice_labels() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    labels = np.zeros((SHAPE[0], 6), np.bool_)
    labels[1, [0, Subtype.SDH]] = True
    return labels


def truths() -> dict[LabelKind, Truth]:
    return {
        LabelKind.SUBTYPES: Truth(mask=Mask(blob(Subtype.SAH), tilted_grid())),
        LabelKind.BINARY: Truth(bleed=blob(1) > 0, slices=slice_labels()),
        LabelKind.SLICES: Truth(slices=slice_labels()),
        LabelKind.NONE: Truth(),
    }


@pytest.mark.parametrize("kind", LabelKind)
def test_a_study_comes_back_as_it_was(tmp_path: Path, kind: LabelKind) -> None:
    study = Study("s1", "p1", scan(), truths()[kind], slice_thickness_mm=4.5)
    write_study(tmp_path / "s1.npz", study)
    back = read_study(tmp_path / "s1.npz")
    assert (back.study_id, back.patient_id, back.slice_thickness_mm) == ("s1", "p1", 4.5)
    assert back.truth.kind is kind
    assert back.volume.hu.dtype == np.float32
    np.testing.assert_array_equal(back.volume.hu, study.volume.hu)
    np.testing.assert_array_equal(
        back.volume.grid.slice_origins_mm, study.volume.grid.slice_origins_mm
    )
    np.testing.assert_array_equal(
        back.volume.grid.column_direction, study.volume.grid.column_direction
    )
    assert back.volume.grid.pixel_spacing_mm == (2.0, 3.0)
    assert back.truth.subtypes == study.truth.subtypes
    for one, other in ((back.truth.blood, study.truth.blood),):
        assert (one is None) is (other is None)
        if one is not None and other is not None:
            np.testing.assert_array_equal(one, other)
    assert [path.name for path in tmp_path.iterdir()] == ["s1.npz"]


def test_a_binary_mask_names_no_subtype() -> None:
    truth = Truth(bleed=blob(1) > 0)
    assert truth.subtypes == ()
    assert truth.bleeds is True
    assert Study("s", "p", scan(), truth).mask is None


def test_nobody_knows_whether_an_unlabelled_study_bleeds() -> None:
    assert Truth().bleeds is None
    assert Truth(bleed=blob(0) > 0).bleeds is False
    assert Truth(slices=slice_labels()).bleeds is True


def test_values_that_are_not_whole_are_kept(tmp_path: Path) -> None:
    hu = scan().hu + np.float32(0.25)
    write_study(tmp_path / "s.npz", Study("s", "p", Volume(hu, tilted_grid())))
    np.testing.assert_array_equal(read_study(tmp_path / "s.npz").volume.hu, hu)


def test_equal_studies_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_study(tmp_path / f"{name}.npz", Study("s", "p", scan(), truths()[LabelKind.SUBTYPES]))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "other", "pickled"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.npz"
    write_study(path, Study("s", "p", scan()))
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(whole[:-200])
    elif damage == "flipped":
        path.write_bytes(whole[:80] + b"\xff" * 40 + whole[120:])
    elif damage == "other":
        np.savez(path, hu=np.zeros(3))
    else:
        np.savez(path, hu=np.array([{}], object))
    with pytest.raises(UnreadableInputError, match=r"^s\.npz is no study of a data set"):
        read_study(path)


def test_labels_beside_the_volume_are_refused() -> None:
    with pytest.raises(ValueError, match="another shape"):
        Study("s", "p", scan(), Truth(bleed=np.zeros((4, 5, 6), np.bool_)))
    with pytest.raises(ValueError, match="labels of 3 slices, not 4"):
        Study("s", "p", scan(), Truth(slices=slice_labels()[:3]))
    with pytest.raises(ValueError, match="not both"):
        Truth(mask=Mask(blob(1), tilted_grid()), bleed=blob(1) > 0)

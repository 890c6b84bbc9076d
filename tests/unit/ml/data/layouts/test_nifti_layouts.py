"""Each NIfTI layout on a tiny folder as it is published."""

import json
from pathlib import Path

import numpy as np
import pytest

from config.errors import InputError, UsageError
from ml.data.layouts import LAYOUTS, bhsd
from ml.data.sources import Content, MissingMasks, Options, SourceStudy
from ml.data.studies import LabelKind
from ml.volume import Subtype
from tests.unit.ml.data import published
from tests.unit.ml.data.published import blob, scan, write_nifti, write_pair


def find(name: str, source: Path, options: Options | None = None) -> dict[str, SourceStudy]:
    found = LAYOUTS[name].find(source, options or Options())
    return {study.study: study for study in found}


def labels_of(content: Content) -> list[int]:
    assert content.truth.mask is not None
    return sorted(np.unique(content.truth.mask.labels).tolist())


# ------------------------------------------------------------------------------------- CT-ICH


@pytest.fixture
def ct_ich(tmp_path: Path) -> Path:
    published.ct_ich(tmp_path, {49: blob(1), 50: blob(255), 51: blob(0)}, "Subdural")
    return tmp_path


def test_ct_ich_has_binary_masks_and_labels_of_slices(ct_ich: Path) -> None:
    found = find("ct-ich", ct_ich)
    assert list(found) == ["049", "050", "051"]
    for name in ("049", "050"):
        truth = found[name].read().truth
        assert truth.kind is LabelKind.BINARY
        assert truth.mask is None
        assert truth.bleed is not None
        np.testing.assert_array_equal(truth.bleed, blob(1) > 0)
        assert truth.subtypes == (Subtype.SDH,)
        assert truth.slices is not None
        assert truth.slices[:, 0].tolist() == [False, False, True, False]
        assert truth.slices[2].nonzero()[0].tolist() == [0, Subtype.SDH]
    assert found["051"].read().truth.bleeds is False


@pytest.mark.parametrize(
    "column", ["Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural", "Subdural"]
)
def test_ct_ich_columns_are_the_subtypes_they_name(tmp_path: Path, column: str) -> None:
    published.ct_ich(tmp_path, {49: blob(1)}, column)
    (subtype,) = find("ct-ich", tmp_path)["049"].read().truth.subtypes
    initials = {"IVH": "Intrav", "IPH": "Intrap", "SAH": "Suba", "EDH": "Epi", "SDH": "Subd"}
    assert column.startswith(initials[subtype.name])


def test_ct_ich_labels_must_number_every_slice(ct_ich: Path) -> None:
    table = ct_ich / "hemorrhage_diagnosis_raw_ct.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(InputError, match="does not number its 4 slices"):
        find("ct-ich", ct_ich)["051"].read()


def test_ct_ich_labels_in_reverse_order_are_noticed(ct_ich: Path) -> None:
    table = ct_ich / "hemorrhage_diagnosis_raw_ct.csv"
    header, *rows = [line.split(",") for line in table.read_text().splitlines()]
    for row in rows:
        row[1] = str(5 - int(row[1]))
    table.write_text("\n".join(",".join(row) for row in [header, *rows]))
    with pytest.raises(InputError, match="in reverse order"):
        find("ct-ich", ct_ich)["049"].read()


def test_ct_ich_with_pictures_is_said_to_be_unsupported(tmp_path: Path) -> None:
    (tmp_path / "Patients_CT" / "049").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"before version 1\.3\.0"):
        find("ct-ich", tmp_path)


@pytest.mark.parametrize("text", ["PatientNumber,SliceNumber\n", "\x00\xff", ""])
def test_ct_ich_with_another_table_is_a_mistake(ct_ich: Path, text: str) -> None:
    (ct_ich / "hemorrhage_diagnosis_raw_ct.csv").write_text(text)
    with pytest.raises(UsageError, match="has no column"):
        find("ct-ich", ct_ich)


# --------------------------------------------------------------------------------------- BHSD

BHSD_NAMES = ("ID_0a1_ID_11", "ID_0a1_ID_12", "ID_0b2_ID_21", "ID_0c3_ID_31", "ID_0d4_ID_41")


def test_bhsd_classes_become_our_subtypes(tmp_path: Path) -> None:
    published.bhsd(tmp_path, {name: blob(v) for v, name in enumerate(BHSD_NAMES, start=1)})
    found = find("bhsd", tmp_path)
    read = [labels_of(found[name].read()) for name in BHSD_NAMES]
    # the published numbering: 1 epidural, 2 intraparenchymal, 3 intraventricular, 4 and 5 the last
    order = (Subtype.EDH, Subtype.IPH, Subtype.IVH, Subtype.SAH, Subtype.SDH)
    assert read == [[0, subtype] for subtype in order]
    assert set(bhsd.CLASSES.values()) == set(Subtype)
    assert found["ID_0a1_ID_11"].patient == found["ID_0a1_ID_12"].patient == "ID_0a1"


def test_bhsd_in_folders_of_nnunet_is_the_same(tmp_path: Path) -> None:
    write_pair(
        tmp_path / "imagesTr" / "ID_0a_ID_1_0000.nii.gz",
        tmp_path / "labelsTr" / "ID_0a_ID_1.nii.gz",
        blob(1),
    )
    (study,) = find("bhsd", tmp_path).values()
    assert (study.patient, labels_of(study.read())) == ("ID_0a", [0, Subtype.EDH])


def test_bhsd_with_another_numbering_is_refused(tmp_path: Path) -> None:
    published.bhsd(tmp_path, {"ID_0a_ID_1": blob(1)})
    swapped = {"0": "background", "1": "epidural", "2": "subdural"}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": swapped}))
    with pytest.raises(UsageError, match="in another way than BHSD"):
        find("bhsd", tmp_path)
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(UsageError, match="names no labels"):
        find("bhsd", tmp_path)


def test_bhsd_without_patients_in_its_names_is_refused(tmp_path: Path) -> None:
    published.bhsd(tmp_path, {"scan1": blob(1)})
    with pytest.raises(UsageError, match="without the patient"):
        find("bhsd", tmp_path)


def test_bhsd_shares_its_patients_with_rsna() -> None:
    assert LAYOUTS["bhsd"].name_space == LAYOUTS["rsna"].name_space


# ----------------------------------------------------------------------------------- INSTANCE


@pytest.mark.parametrize("folder", ["train_2", "train", "."])
def test_instance_has_binary_masks(tmp_path: Path, folder: str) -> None:
    for name in ("001", "002"):
        file = f"{name}.nii.gz"
        write_pair(tmp_path / folder / "data" / file, tmp_path / folder / "label" / file, blob(1))
    found = find("instance", tmp_path)
    assert list(found) == ["001", "002"]
    truth = found["001"].read().truth
    assert (truth.kind, truth.subtypes, truth.bleeds) == (LabelKind.BINARY, (), True)


def test_instance_with_classes_is_faulty(tmp_path: Path) -> None:
    labels = blob(1)
    labels[0, 0, 0] = 2
    write_pair(tmp_path / "data" / "001.nii.gz", tmp_path / "label" / "001.nii.gz", labels)
    with pytest.raises(InputError, match="this one has 0, 1, 2"):
        find("instance", tmp_path)["001"].read()


# ------------------------------------------------------------------------------- NIfTI pairs


def test_pairs_have_our_subtypes(tmp_path: Path) -> None:
    published.nifti_folders(tmp_path, {s.name: blob(s) for s in Subtype})
    for name, study in find("nifti", tmp_path).items():
        assert labels_of(study.read()) == [0, Subtype[name]]


@pytest.mark.parametrize("suffix", ["_label", "_mask", "_seg"])
def test_pairs_may_lie_in_one_folder(tmp_path: Path, suffix: str) -> None:
    write_pair(tmp_path / "P1__a_image.nii", tmp_path / f"P1__a{suffix}.nii", blob(2))
    (study,) = find("nifti", tmp_path).values()
    assert (study.patient, study.study, study.where) == ("P1", "P1__a", "P1__a_image.nii")
    assert labels_of(study.read()) == [0, Subtype.IVH]


def test_two_masks_of_one_image_are_a_mistake(tmp_path: Path) -> None:
    write_pair(tmp_path / "a_image.nii", tmp_path / "a_mask.nii", blob(2))
    write_nifti(tmp_path / "a_seg.nii", blob(2), scan().grid, dtype="uint8")
    with pytest.raises(UsageError, match="a has several masks"):
        find("nifti", tmp_path)


def test_a_person_says_what_the_values_of_pairs_mean(tmp_path: Path) -> None:
    published.nifti_folders(tmp_path, {"a": blob(255)})
    with pytest.raises(InputError, match="value 255"):
        find("nifti", tmp_path)["a"].read()
    truth = find("nifti", tmp_path, Options(binary=True))["a"].read().truth
    assert (truth.kind, truth.subtypes) == (LabelKind.BINARY, ())
    assert labels_of(find("nifti", tmp_path, Options(subtype=Subtype.SDH))["a"].read()) == [0, 4]


def test_an_empty_binary_mask_stays_binary(tmp_path: Path) -> None:
    write_pair(tmp_path / "images" / "a.nii", None, blob(0))
    options = Options(binary=True, missing_masks=MissingMasks.EMPTY)
    truth = find("nifti", tmp_path, options)["a"].read().truth
    assert (truth.kind, truth.bleeds) == (LabelKind.BINARY, False)


def test_a_shifted_mask_and_one_of_another_shape_are_faulty(tmp_path: Path) -> None:
    published.nifti_folders(tmp_path, {"a": blob(1), "b": blob(1)})
    write_nifti(tmp_path / "labels" / "a.nii.gz", blob(1), scan().grid, shift_mm=5, dtype="uint8")
    small = published.tilted_grid((3, 6, 5))
    write_nifti(tmp_path / "labels" / "b.nii.gz", np.zeros((3, 6, 5)), small)
    found = find("nifti", tmp_path)
    with pytest.raises(InputError, match=r"5\.0 mm away from its image"):
        found["a"].read()
    with pytest.raises(InputError, match="5 x 6 x 3 voxels, its image 5 x 6 x 4"):
        found["b"].read()
    follows = find("nifti", tmp_path, Options(masks_follow_images=True))
    assert labels_of(follows["a"].read()) == [0, Subtype.IPH]

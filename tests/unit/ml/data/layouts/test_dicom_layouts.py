"""The DICOM layouts on tiny folders: RSNA as published, and studies with a Segmentation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, config, dcmread, dcmwrite

from config.errors import InputError, UsageError
from ml.data.layouts import LAYOUTS
from ml.data.sources import MissingMasks, Options, SourceStudy
from ml.data.studies import LabelKind
from ml.readers.dicom import read_series
from ml.volume import Mask, Subtype
from node.results.segmentation import build_segmentation
from tests.support.ct_series import SEEN_FROM_ABOVE, even_heights, head_series, stack, uid, write
from tests.support.result_inputs import make_context
from tests.unit.ml.data.published import write_table

GRID = stack(even_heights(4, 6.0), size=20, pixel_mm=11.0)
SUBTYPES = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")


def find(name: str, source: Path, options: Options | None = None) -> Sequence[SourceStudy]:
    return LAYOUTS[name].find(source, options or Options())


# --------------------------------------------------------------------------------------- RSNA


def rsna_images(folder: Path, patient: str, series: str, names: Sequence[str]) -> None:
    """Write a series as RSNA published it: most attributes are gone, and UIDs are no UIDs."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = stack(even_heights(4, 6.0), size=20, pixel_mm=11.0, directions=SEEN_FROM_ABOVE)
    with config.disable_value_validation():
        for image, name in zip(head_series(grid, name=series), names, strict=True):
            bare = Dataset()
            for keyword in (
                "Modality",
                "ImagePositionPatient",
                "ImageOrientationPatient",
                "SamplesPerPixel",
                "PhotometricInterpretation",
                "Rows",
                "Columns",
                "PixelSpacing",
                "BitsAllocated",
                "BitsStored",
                "HighBit",
                "PixelRepresentation",
                "RescaleIntercept",
                "RescaleSlope",
                "PixelData",
            ):
                bare[keyword] = image[keyword]
            bare.SOPInstanceUID, bare.PatientID = name, patient
            bare.StudyInstanceUID, bare.SeriesInstanceUID = f"ID_{patient[3:]}", f"ID_{series}"
            bare.file_meta = image.file_meta
            dcmwrite(folder / f"{name}.dcm", bare, enforce_file_format=True)


def rsna_rows(name: str, *subtypes: str) -> list[tuple[str, int]]:
    rows = [(f"{name}_{subtype}", int(subtype in subtypes)) for subtype in SUBTYPES]
    return [*rows, (f"{name}_any", int(bool(subtypes)))]


FIRST, SECOND = ("ID_00a", "ID_00b", "ID_00c", "ID_00d"), ("ID_01a", "ID_01b", "ID_01c", "ID_01d")


@pytest.fixture
def rsna(tmp_path: Path) -> Path:
    """Two series of two patients in one folder; the second image of the first one bleeds."""
    rsna_images(tmp_path / "stage_2_train", "ID_p1", "5a", FIRST)
    rsna_images(tmp_path / "stage_2_train", "ID_p2", "5b", SECOND)
    rows = [row for name in (*FIRST, *SECOND) for row in rsna_rows(name)]
    rows = [row for row in rows if not row[0].startswith(FIRST[1])]
    rows += rsna_rows(FIRST[1], "subdural", "subarachnoid") + rsna_rows(SECOND[0])  # twice
    write_table(tmp_path / "stage_2_train.csv", ("ID", "Label"), rows)
    return tmp_path


def test_rsna_series_are_put_together_from_their_headers(rsna: Path) -> None:
    first, second = find("rsna", rsna)
    assert (first.patient, first.study, second.patient) == ("ID_p1", "ID_5a", "ID_p2")
    assert first.where == "stage_2_train/ID_00a.dcm and its series"
    content = first.read()
    assert content.volume.grid.shape == (4, 20, 20)
    assert content.truth.kind is LabelKind.SLICES
    assert content.truth.subtypes == (Subtype.SDH, Subtype.SAH)
    assert content.truth.slices is not None
    # images lie from the feet to the head, which here is the order of their names
    expected = np.zeros((4, 6), np.bool_)
    expected[1, [0, Subtype.SDH, Subtype.SAH]] = True
    np.testing.assert_array_equal(content.truth.slices, expected)
    assert second.read().truth.bleeds is False


@pytest.mark.parametrize("word", SUBTYPES)
def test_rsna_words_are_the_subtypes_they_name(tmp_path: Path, word: str) -> None:
    rsna_images(tmp_path / "stage_2_train_images", "ID_p1", "5a", FIRST)
    rows = [row for name in FIRST for row in rsna_rows(name, word)]
    rows = [row for row in rows if not row[0].endswith("_any")]  # a subtype says it too
    write_table(tmp_path / "stage_2_train.csv", ("ID", "Label"), rows)
    (study,) = find("rsna", tmp_path)
    truth = study.read().truth
    (subtype,) = truth.subtypes
    assert truth.bleeds
    titles = {"EDH": "epidural", "IPH": "intraparenchymal", "IVH": "intraventricular"}
    assert {**titles, "SAH": "subarachnoid", "SDH": "subdural"}[subtype.name] == word


def test_rsna_image_without_labels_and_damaged_image_are_faulty(rsna: Path) -> None:
    table = rsna / "stage_2_train.csv"
    kept = [line for line in table.read_text().splitlines() if not line.startswith(SECOND[2])]
    table.write_text("\n".join(kept))
    damaged = rsna / "stage_2_train" / f"{FIRST[3]}.dcm"
    damaged.write_bytes(damaged.read_bytes()[:180])
    faults = {}
    for study in find("rsna", rsna):
        try:
            study.read()
        except InputError as error:
            faults[study.where] = str(error)
    assert faults == {
        "stage_2_train/ID_01a.dcm and its series": "stage_2_train.csv has no labels for ID_01c",
        "stage_2_train/ID_00d.dcm": "a file cannot be parsed as DICOM",
    }


def test_rsna_table_that_contradicts_itself_is_refused(rsna: Path) -> None:
    with (rsna / "stage_2_train.csv").open("a") as file:
        file.write(f"{FIRST[1]}_subdural,0\n")
    with pytest.raises(UsageError, match="contradicts itself about ID_00b_subdural"):
        find("rsna", rsna)


@pytest.mark.parametrize("text", ["A,B\n1,2\n", "ID,Label\nID_00a_unknown,1\n", "ID,Label\nx,y\n"])
def test_rsna_with_another_table_is_a_mistake(rsna: Path, text: str) -> None:
    (rsna / "stage_2_train.csv").write_text(text)
    with pytest.raises(UsageError, match=r"stage_2_train\.csv (has no columns|cannot be read)"):
        find("rsna", rsna)


def test_images_without_class_are_read_only_where_that_was_asked_for(rsna: Path) -> None:
    files = [rsna / "stage_2_train" / f"{name}.dcm" for name in FIRST]
    with pytest.raises(InputError, match="none of CT images"):
        read_series(files)
    with config.disable_value_validation():
        for file in files:
            image = dcmread(file)
            image.Modality = "MR"
            dcmwrite(file, image, enforce_file_format=True)
    with pytest.raises(InputError, match="none of CT images"):
        read_series(files, class_may_lack=True)


# -------------------------------------------------------------------------------- DICOM + SEG


def labels(subtype: Subtype, row: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    result = np.zeros(GRID.shape, np.uint8)
    result[2, row : row + 4, 2:5] = subtype
    return result


def write_ct(folder: Path, name: str, **attributes: object) -> None:
    write(head_series(GRID, name=name, **attributes), folder / "ct")


def write_seg(folder: Path, found: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Path:
    """Write what the node would, beside the CT series."""
    series = read_series(sorted((folder / "ct").glob("*.dcm")))
    header = series.headers[0]
    context = make_context(
        study_instance_uid=header.StudyInstanceUID, series_instance_uid=header.SeriesInstanceUID
    )
    dataset, _ = build_segmentation(context, series, Mask(found, series.volume.grid))
    file = folder / "seg.dcm"
    dcmwrite(file, dataset, enforce_file_format=True)
    return file


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Two studies, each with its Segmentation, and files that are no DICOM."""
    for name, subtype in (("a", Subtype.IVH), ("b", Subtype.EDH)):
        write_ct(tmp_path / name, name, SliceThickness="5.5")
        write_seg(tmp_path / name, labels(subtype))
        (tmp_path / name / "findings.json").write_text("{}")
    return tmp_path


def test_dicom_studies_come_with_the_mask_of_their_segmentation(studies: Path) -> None:
    found = find("dicom-seg", studies)
    assert [study.patient for study in found] == ["SYN-a", "SYN-b"]
    assert found[0].where == "study in a/ct"
    for study, subtype in zip(found, (Subtype.IVH, Subtype.EDH), strict=True):
        content = study.read()
        assert content.truth.mask is not None
        np.testing.assert_array_equal(content.truth.mask.labels, labels(subtype))
        assert content.slice_thickness_mm == 5.5
        np.testing.assert_allclose(
            content.volume.grid.slice_origins_mm, GRID.slice_origins_mm, atol=1e-5
        )


def test_a_corrected_segmentation_counts_before_what_it_corrects(studies: Path) -> None:
    corrected = dcmread(write_seg(studies / "a", labels(Subtype.SAH, row=9)))
    original = write_seg(studies / "a", labels(Subtype.IVH))
    corrected.ContentDate, corrected.ContentTime = "20310305", "080000"
    corrected.SOPInstanceUID = uid("corrected")
    corrected.file_meta.MediaStorageSOPInstanceUID = corrected.SOPInstanceUID
    dcmwrite(studies / "a" / "aaa.dcm", corrected, enforce_file_format=True)
    content = find("dicom-seg", studies)[0].read()
    assert content.truth.subtypes == (Subtype.SAH,)
    same = dcmread(original)
    corrected.ContentDate, corrected.ContentTime = same.ContentDate, same.ContentTime
    dcmwrite(studies / "a" / "aaa.dcm", corrected, enforce_file_format=True)
    with pytest.raises(InputError, match="do not say which is the latest"):
        find("dicom-seg", studies)[0].read()


@pytest.mark.parametrize(
    ("meaning", "kind"),
    [(MissingMasks.UNLABELLED, LabelKind.NONE), (MissingMasks.EMPTY, LabelKind.SUBTYPES)],
)
def test_a_study_without_segmentation_is_what_a_person_says(
    studies: Path, meaning: MissingMasks, kind: LabelKind
) -> None:
    (studies / "a" / "seg.dcm").unlink()
    with pytest.raises(InputError, match="has no Segmentation; --missing-masks"):
        find("dicom-seg", studies)[0].read()
    content = find("dicom-seg", studies, Options(missing_masks=meaning))[0].read()
    assert content.truth.kind is kind
    write_ct(studies / "a" / "more", "a/second")
    with pytest.raises(InputError, match="and 2 CT series"):
        find("dicom-seg", studies, Options(missing_masks=meaning))[0].read()


def test_a_segmentation_whose_series_is_missing_is_faulty(studies: Path) -> None:
    for file in (studies / "a" / "ct").glob("*.dcm"):
        file.unlink()
    write_ct(studies / "a", "a/other")
    with pytest.raises(InputError, match="the CT series of its Segmentation is missing"):
        find("dicom-seg", studies)[0].read()


def test_a_study_without_patient_is_faulty(tmp_path: Path) -> None:
    write_ct(tmp_path, "a", PatientID="")
    with pytest.raises(InputError, match="do not name one patient"):
        find("dicom-seg", tmp_path)[0].read()


def test_a_damaged_dicom_file_is_named(studies: Path) -> None:
    file = studies / "a" / "ct" / "0000.dcm"
    file.write_bytes(file.read_bytes()[:180])
    found = {study.where: study for study in find("dicom-seg", studies)}
    with pytest.raises(InputError, match="cannot be parsed"):
        found["a/ct/0000.dcm"].read()


def test_patients_of_two_issuers_are_two_patients(tmp_path: Path) -> None:
    write_ct(tmp_path / "a", "a", PatientID="1", IssuerOfPatientID="X")
    write_ct(tmp_path / "b", "b", PatientID="1", IssuerOfPatientID="Y")
    assert len({study.patient for study in find("dicom-seg", tmp_path)}) == 2

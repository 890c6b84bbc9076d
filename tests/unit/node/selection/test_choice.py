"""The right series is chosen, and every other one is rejected for the right reason."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, MRImageStorage, SecondaryCaptureImageStorage

from config.errors import Reason
from ml.readers.dicom import read_series
from ml.volume import Volume
from node.selection import Caution, Criteria, Rejection, Selection, select_series
from tests.support.ct_series import (
    CORONAL,
    PRONE,
    SEEN_FROM_ABOVE,
    even_heights,
    legacy_converted,
    series_of,
    stack,
    uid,
    write,
)

UNEVEN = np.append(even_heights(14, 4.0), 26 + 1.08 + np.arange(14) * 7.0)
UNEVEN_MM = (4.0,) * 14 + (7.0,) * 14
"""Positions and thickness as a sequential scanner takes posterior fossa and convexity."""


FEW = Criteria(min_slices=5, extent_mm=(20.0, 350.0))
"""Short stacks are quick to write; what a head needs is tested in `test_series_geometry`."""


def _images(heights: object = None, **options: object) -> list[Dataset]:
    """Few tiny slices: selection looks at headers alone."""
    geometry = {key: options.pop(key) for key in ("tilt_deg", "directions") if key in options}
    grid = stack(even_heights(8) if heights is None else heights, size=8, **geometry)  # type: ignore[arg-type]
    return series_of(Volume(np.zeros(grid.shape, np.float32), grid), **options)  # type: ignore[arg-type]


def _select(folder: Path, *series: list[Dataset], criteria: Criteria = FEW) -> Selection:
    files = [
        file for index, images in enumerate(series) for file in write(images, folder / str(index))
    ]
    return select_series(files, criteria=criteria)


def _rejection(selection: Selection) -> Rejection:
    assert selection.chosen is None
    (rejected,) = selection.rejected
    assert selection.reason is rejected.rejection.reason
    return rejected.rejection


def test_a_plain_head_is_chosen_without_a_warning(tmp_path: Path) -> None:
    images = _images()
    selection = _select(tmp_path, images)
    chosen = selection.chosen
    assert chosen is not None
    assert (chosen.warnings, chosen.score, selection.reason) == ((), 100.0, None)
    assert chosen.series_instance_uid == uid("a", "series")
    assert chosen.sop_instance_uids == tuple(image.SOPInstanceUID for image in images)
    assert selection.rejected == ()


def test_the_order_of_the_files_means_nothing(tmp_path: Path) -> None:
    files = write(_images(), tmp_path / "a") + write(_images(name="a/b", SeriesNumber=9), tmp_path)
    first = select_series(files, criteria=FEW)
    shuffled = files.copy()
    random.Random(4).shuffle(shuffled)
    assert select_series(shuffled + shuffled[:3], criteria=FEW) == first
    assert first.chosen is not None
    assert first.chosen.files == tuple(files[:8])


@pytest.mark.parametrize("directions", [PRONE, SEEN_FROM_ABOVE])
def test_files_are_listed_from_the_feet_to_the_head(
    tmp_path: Path, directions: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    falling = directions is SEEN_FROM_ABOVE
    images = _images(even_heights(8)[:: -1 if falling else 1], directions=directions)
    chosen = _select(tmp_path, images).chosen
    assert chosen is not None
    assert read_series(chosen.files).headers[0].SOPInstanceUID == chosen.sop_instance_uids[0]
    expected = images[::-1] if images[0].ImagePositionPatient[2] > 0 else images
    assert chosen.sop_instance_uids == tuple(image.SOPInstanceUID for image in expected)


def _all(keyword: str, value: object) -> Callable[[list[Dataset]], None]:
    def change(images: list[Dataset]) -> None:
        for image in images:
            setattr(image, keyword, value)

    return change


def _one(keyword: str, value: object) -> Callable[[list[Dataset]], None]:
    return lambda images: setattr(images[3], keyword, value)


def _without(keyword: str) -> Callable[[list[Dataset]], None]:
    def change(images: list[Dataset]) -> None:
        for image in images:
            del image[keyword]

    return change


def _agents(images: list[Dataset]) -> None:
    images[3].ContrastBolusAgentSequence = Sequence([Dataset()])


R = Rejection


@pytest.mark.parametrize(
    ("spoil", "rejection"),
    [
        (_all("Modality", "MR"), R.NOT_CT),
        (_all("SOPClassUID", MRImageStorage), R.SECONDARY),
        (_all("SOPClassUID", SecondaryCaptureImageStorage), R.SECONDARY),
        (_all("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), R.LOCALIZER),
        (_all("ImageType", ["DERIVED", "SECONDARY", "AXIAL"]), R.SECONDARY),
        (_all("ImageType", ["DERIVED", "SECONDARY", "MPR"]), R.PROCESSED),
        (_all("ImageType", ["DERIVED", "PRIMARY", "AXIAL", "MIP"]), R.PROCESSED),
        (_all("ImageType", ["ORIGINAL", "PRIMARY", "PERFUSION"]), R.PROCESSED),
        (_all("ImageType", ["DERIVED", "PRIMARY", "AXIAL", "MONOENERGETIC"]), R.PROCESSED),
        (_all("ImageType", ["DERIVED", "PRIMARY", "OTHER"]), R.PROCESSED),
        (_all("ImageType", ["DERIVED", "SECONDARY", "DOSE_INFO"]), R.SECONDARY),
        (_one("BurnedInAnnotation", "YES"), R.SECONDARY),
        (_all("SeriesDescription", "Sinus 1 mm"), R.OTHER_EXAMINATION),
        (_all("ProtocolName", "CTA"), None),
        (_all("SeriesDescription", "Brain +C"), R.CONTRAST),
        (_one("ContrastBolusAgent", "OMNIPAQUE"), R.CONTRAST),
        (_all("ContrastBolusAgent", "NONE"), None),
        (_agents, R.CONTRAST),
        (_one("PhotometricInterpretation", "MONOCHROME1"), R.NOT_HU),
        (_one("RescaleType", "US"), R.NOT_HU),
        (_without("RescaleSlope"), R.NOT_HU),
        (_without("RescaleType"), None),
        (_one("SamplesPerPixel", 3), R.UNREADABLE),
        (_one("Rows", 4096), R.UNREADABLE),
        (_all("NumberOfFrames", 2), R.UNREADABLE),
        (_without("ImagePositionPatient"), R.NO_GEOMETRY),
        (_without("ImageOrientationPatient"), R.NO_GEOMETRY),
        (_without("PixelSpacing"), R.NO_GEOMETRY),
        (_without("FrameOfReferenceUID"), R.NO_GEOMETRY),
        (_one("FrameOfReferenceUID", uid("other")), R.MIXED),
        (_one("PatientID", "SYN-b"), R.MIXED),
        (_one("IssuerOfPatientID", "OTHER"), R.MIXED),
        (_one("StudyInstanceUID", uid("other")), R.MIXED),
        (_one("ConvolutionKernel", "H60s"), R.MIXED),
        (_one("ImageType", ["DERIVED", "PRIMARY", "AXIAL"]), R.MIXED),
        (_one("Columns", 16), R.MIXED),
        (_one("PixelSpacing", [1, 1]), R.MIXED),
        (_one("ImageOrientationPatient", [0, 1, 0, -1, 0, 0]), R.MIXED),
    ],
)
def test_each_gate_rejects_what_it_is_for(
    tmp_path: Path, spoil: Callable[[list[Dataset]], None], rejection: Rejection | None
) -> None:
    images = _images()
    spoil(images)
    selection = _select(tmp_path, images)
    if rejection is None:
        assert selection.chosen is not None
    else:
        assert _rejection(selection) is rejection


@pytest.mark.parametrize(
    ("descriptions", "rejection"),
    [
        (("CT HEAD", "", "", "CHEST"), None),
        (("", "", "", "HEAD"), None),
        (("CT THORAX", "5 mm", "Thorax", "CHEST"), R.NOT_A_HEAD),
        (("", "", "", ""), None),
    ],
)
def test_one_description_that_names_a_head_is_enough(
    tmp_path: Path, descriptions: tuple[str, ...], rejection: Rejection | None
) -> None:
    keywords = ("StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined")
    images = _images(**dict(zip(keywords, descriptions, strict=True)))
    selection = _select(tmp_path, images)
    if rejection is not None:
        assert _rejection(selection) is rejection
        return
    assert selection.chosen is not None
    assert (Caution.NO_DESCRIPTION in selection.chosen.warnings) is not any(descriptions)


def test_a_later_reconstruction_from_raw_data_qualifies(tmp_path: Path) -> None:
    assert _select(tmp_path, _images(ImageType=["ORIGINAL", "SECONDARY", "AXIAL"])).chosen


@pytest.mark.parametrize("modality", ["SEG", "SR", "OT"])
def test_results_of_a_node_are_never_its_input(tmp_path: Path, modality: str) -> None:
    images = _images(Modality=modality, Manufacturer="Midline project")
    images = images[:1] if modality != "SEG" else images
    assert _rejection(_select(tmp_path, images)) is R.OWN_RESULT


def test_spacing_that_changes_without_a_gap_is_a_caution(tmp_path: Path) -> None:
    images = _images(UNEVEN, tilt_deg=18.5, thickness_mm=UNEVEN_MM)
    chosen = _select(tmp_path, images).chosen
    assert chosen is not None
    assert set(chosen.warnings) == {Caution.GANTRY_TILT, Caution.VARYING_SPACING}
    strict = _select(tmp_path, images, criteria=replace(FEW, accept_uneven_spacing=False))
    assert _rejection(strict) is R.UNEVEN_SPACING


def test_a_lost_slice_whose_neighbours_still_touch_is_told_by_the_numbering(tmp_path: Path) -> None:
    images = _images(UNEVEN, thickness_mm=UNEVEN_MM)
    del images[13]
    chosen = _select(tmp_path, images).chosen
    assert chosen is not None
    assert Caution.NUMBERING_GAP in chosen.warnings


def test_by_default_a_series_must_cover_a_head(tmp_path: Path) -> None:
    files = write(_images(), tmp_path)
    selection = select_series(files)
    assert _rejection(selection) is R.TOO_FEW_SLICES
    assert selection.reason is Reason.INCOMPLETE


def test_a_lost_slice_makes_a_study_incomplete(tmp_path: Path) -> None:
    images = _images()
    del images[4]
    selection = _select(tmp_path, images)
    assert _rejection(selection) is R.MISSING_SLICES
    assert selection.reason is Reason.INCOMPLETE


def test_the_series_nearest_to_what_the_model_knows_wins(tmp_path: Path) -> None:
    thin = _images(even_heights(24, 1.0), name="s/thin", SeriesNumber=3)
    hard = _images(name="s/hard", SeriesNumber=4, ConvolutionKernel="H60s")
    soft = _images(name="s/soft", SeriesNumber=5)
    twin = _images(name="s/twin", SeriesNumber=6)
    selection = _select(tmp_path, thin, hard, soft, twin)
    assert selection.chosen is not None
    assert selection.chosen.series_number == 5
    assert {(r.series_number, r.rejection) for r in selection.rejected} == {
        (3, R.LOWER_SCORE), (4, R.LOWER_SCORE), (6, R.LOWER_SCORE),
    }  # fmt: skip
    thin_model = _select(tmp_path, thin, hard, soft, criteria=replace(FEW, target_spacing_mm=1.0))
    assert thin_model.chosen is not None
    assert thin_model.chosen.series_number == 3


def test_localizers_in_the_series_of_the_head_are_left_out(tmp_path: Path) -> None:
    images = _images()
    scout = _images([0.0], directions=CORONAL, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])[0]
    scout.SOPInstanceUID = scout.file_meta.MediaStorageSOPInstanceUID = uid("scout")
    selection = _select(tmp_path, [scout, *images])
    assert selection.chosen is not None
    assert uid("scout") not in selection.chosen.sop_instance_uids
    assert [rejected.rejection for rejected in selection.rejected] == [R.LOCALIZER]


def test_several_acquisitions_and_loss_are_cautions(tmp_path: Path) -> None:
    images = _images()
    images[4].AcquisitionNumber = 2
    images[5].LossyImageCompression = "01"
    chosen = _select(tmp_path, images).chosen
    assert chosen is not None
    assert set(chosen.warnings) == {Caution.SEVERAL_ACQUISITIONS, Caution.LOSSY}
    assert chosen.score == 60


def test_a_file_that_cannot_be_read_is_told_and_hides_no_gap(tmp_path: Path) -> None:
    files = write(_images(), tmp_path)
    files[7].write_bytes(b"Doe^Jane")
    selection = select_series(files, criteria=FEW)
    assert selection.chosen is not None
    assert selection.chosen.warnings == (Caution.UNREADABLE_FILES,)
    files[3].write_bytes(b"Doe^Jane")
    selection = select_series(files, criteria=FEW)
    assert selection.reason is Reason.INCOMPLETE
    assert {r.rejection for r in selection.rejected} == {R.UNREADABLE, R.MISSING_SLICES}
    assert "Doe" not in str(selection)


def test_two_images_that_share_a_uid_are_not_taken_for_one(tmp_path: Path) -> None:
    images = _images()
    images[4].SOPInstanceUID = images[3].SOPInstanceUID
    images[4].file_meta.MediaStorageSOPInstanceUID = images[3].SOPInstanceUID
    assert _rejection(_select(tmp_path, images)) is R.DUPLICATE_POSITIONS


def test_files_of_two_patients_are_never_analysed_together(tmp_path: Path) -> None:
    selection = _select(tmp_path, _images(name="a"), _images(name="b"))
    assert selection.chosen is None
    assert [rejected.rejection for rejected in selection.rejected] == [R.MIXED, R.MIXED]


def test_the_most_telling_reason_is_reported(tmp_path: Path) -> None:
    localizer = _images([0.0], name="s/scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    gap = _images(name="s/gap")
    del gap[4]
    no_units = _images(name="s/units", RescaleType="US")
    assert select_series([]).reason is Reason.TYPES
    assert _select(tmp_path / "1", localizer).reason is Reason.TYPES
    assert _select(tmp_path / "2", localizer, no_units).reason is Reason.FORMAT
    assert _select(tmp_path / "3", localizer, no_units, gap).reason is Reason.INCOMPLETE


def test_no_detail_quotes_a_header(tmp_path: Path) -> None:
    images = _images(SeriesDescription="CTA Doe^Jane", StudyDescription="Head Doe^Jane")
    selection = _select(tmp_path, images)
    assert _rejection(selection) is R.OTHER_EXAMINATION
    assert "Doe" not in str(selection.rejected)


def test_every_rejection_has_a_sentence_and_a_reason() -> None:
    for rejection in Rejection:
        assert rejection.sentence.endswith(".")
        assert rejection.reason in Reason
        assert Rejection(rejection.value) is rejection


def test_a_converted_series_is_chosen_like_its_sources(tmp_path: Path) -> None:
    image = legacy_converted(_images(UNEVEN, tilt_deg=18.5, thickness_mm=UNEVEN_MM))
    selection = _select(tmp_path, [image])
    assert selection.chosen is not None
    assert len(selection.chosen.files) == 1
    assert Caution.VARYING_SPACING in selection.chosen.warnings


@pytest.mark.parametrize(
    ("spoil", "rejection"),
    [
        (lambda image: image.PerFrameFunctionalGroupsSequence.pop(5), R.UNREADABLE),
        (
            lambda image: setattr(
                image.PerFrameFunctionalGroupsSequence[5].FrameContentSequence[0], "StackID", "2"
            ),
            R.MIXED,
        ),
    ],
    ids=["frame not described", "two stacks"],
)
def test_gates_hold_for_each_frame_of_a_multi_frame_image(
    tmp_path: Path, spoil: Callable[[Dataset], object], rejection: Rejection
) -> None:
    image = legacy_converted(_images())
    spoil(image)
    assert _rejection(_select(tmp_path, [image])) is rejection


def test_the_anatomic_region_of_an_enhanced_image_counts_as_a_description(tmp_path: Path) -> None:
    image = legacy_converted(_images())
    for keyword in ("StudyDescription", "SeriesDescription", "BodyPartExamined"):
        if keyword in image:
            del image[keyword]
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "1", "99A", "Abdomen"
    image.AnatomicRegionSequence = Sequence([region])
    shared = image.SharedFunctionalGroupsSequence[0]
    for groups in (shared, *image.PerFrameFunctionalGroupsSequence):
        if "FrameAnatomySequence" in groups:
            del groups["FrameAnatomySequence"]
    assert _rejection(_select(tmp_path / "abdomen", [image])) is R.NOT_A_HEAD
    region.CodeMeaning = "Brain"
    assert _select(tmp_path / "brain", [image]).chosen is not None

"""A Segmentation comes back on the grid of its series, whoever wrote it."""

from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from config.errors import InputError, UnreadableInputError, UnsupportedInputError
from ml.readers import segmentation
from ml.readers.dicom import Series, read_series
from ml.readers.segmentation import read_segmentation, referenced_series, subtype_of
from ml.volume import Mask, Subtype
from node.results import codes
from node.results.segmentation import build_segmentation
from tests.support.ct_series import even_heights, head_series, stack, uid, write
from tests.support.result_inputs import make_context
from tests.support.segmentation_files import WAYS, Case, Way, build_in, cases

GRID = stack(even_heights(5, 6.0), size=22, pixel_mm=11.0, tilt_deg=12.0)
"""Few pixels; a frame of 22 x 22 bits ends within a byte."""


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    files = write(head_series(GRID), tmp_path_factory.mktemp("ct"))
    return read_series(files)


def labels(*, every: bool = True) -> NDArray[np.uint8]:
    """One blob of each subtype, none of them symmetric; the first slice stays empty."""
    result = np.zeros(GRID.shape, np.uint8)
    for subtype in Subtype if every else (Subtype.SDH,):
        result[1 + subtype % 4, 2 * subtype : 2 * subtype + 3, subtype : subtype + 4] = subtype
    return result


def ours(series: Series, found: NDArray[np.uint8]) -> Dataset:
    header = series.headers[0]
    context = make_context(
        study_instance_uid=header.StudyInstanceUID, series_instance_uid=header.SeriesInstanceUID
    )
    written, _ = build_segmentation(context, series, Mask(found, series.volume.grid))
    return written


def save(dataset: Dataset, path: Path) -> Path:
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def written_by_others(
    series: Series,
    kind: str,
    pixels: NDArray[np.uint8],
    names: list[tuple[str, Code]],
    syntax: str = ExplicitVRLittleEndian,
) -> Dataset:
    """Segmentation of the series as another program may write it."""
    sources = [header.copy() for header in series.headers]
    for source in sources:
        source.file_meta = series.headers[0].file_meta
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
            segmented_property_type=code,
            algorithm_type="MANUAL",
        )
        for number, (label, code) in enumerate(names, start=1)
    ]
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=uid("other", "series"),
        series_number=9,
        sop_instance_uid=uid("other", "seg"),
        instance_number=1,
        manufacturer="Other",
        manufacturer_model_name="Editor",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=syntax,
    )


def test_what_the_node_writes_is_read_back(series: Series, tmp_path: Path) -> None:
    file = save(ours(series, labels()), tmp_path / "seg.dcm")
    assert referenced_series(file) == series.headers[0].SeriesInstanceUID
    mask = read_segmentation(file, series)
    np.testing.assert_array_equal(mask.labels, labels())
    assert mask.grid is series.volume.grid


@pytest.mark.parametrize("way", WAYS, ids=str)
@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(case=cases(may_have_spare_frames=False))
def test_every_form_that_the_node_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, way: Way, case: Case
) -> None:
    written, _ = build_in(way, make_context(), case.series, case.mask)
    file = save(written, tmp_path_factory.mktemp("seg") / "seg.dcm")
    np.testing.assert_array_equal(read_segmentation(file, case.series).labels, case.mask.labels)


def test_the_codes_are_those_that_the_node_writes() -> None:
    for subtype, terms in codes.SUBTYPES.items():
        segment = Dataset()
        segment.SegmentNumber = 1
        assert subtype_of(segment) is None
        segment.SegmentLabel = terms.label
        assert subtype_of(segment) is subtype
        segment.SegmentLabel = "x"
        segment.SegmentedPropertyTypeCodeSequence = [item_of(terms.finding)]
        segment.AnatomicRegionSequence = [item_of(terms.sites[0])]
        assert subtype_of(segment) is subtype
        segment.SegmentedPropertyTypeCodeSequence = [item_of(terms.item)]
        del segment.AnatomicRegionSequence
        assert subtype_of(segment) is subtype
    for code in (*segmentation.CODES, *segmentation.REGIONS):
        assert code in {
            (c.value, c.scheme_designator) for c in vars(codes).values() if isinstance(c, Code)
        }


def item_of(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


@pytest.mark.parametrize(
    ("label", "subtype"),
    [
        ("ICH-SDH", Subtype.SDH),
        ("Subdural hemorrhage, left", Subtype.SDH),
        ("subarachnoid", Subtype.SAH),
        ("Extradural haematoma", Subtype.EDH),
        ("lesion", None),
        ("ventricle", None),
    ],
)
def test_a_label_in_words_is_understood(label: str, subtype: Subtype | None) -> None:
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = 1, label
    assert subtype_of(segment) is subtype


def test_a_label_against_its_code_is_refused() -> None:
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = 3, "SDH"
    segment.SegmentedPropertyTypeCodeSequence = [item_of(codes.EPIDURAL_HEMORRHAGE)]
    with pytest.raises(UnreadableInputError, match="segment 3 name several subtypes"):
        subtype_of(segment)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_label_map_is_read_too(series: Series, tmp_path: Path, syntax: str) -> None:
    pixels = np.zeros(GRID.shape, np.uint8)
    pixels[2, 3:9, 1:5], pixels[3, 10:12, 2:19] = 1, 2
    names = [("EDH", dictionary.SCT.Hemorrhage), ("subarachnoid", dictionary.SCT.Hemorrhage)]
    file = save(written_by_others(series, "LABELMAP", pixels, names, syntax), tmp_path / "a.dcm")
    expected = np.array([0, Subtype.EDH, Subtype.SAH], np.uint8)[pixels]
    np.testing.assert_array_equal(read_segmentation(file, series).labels, expected)


def test_segments_of_one_subtype_are_joined(series: Series, tmp_path: Path) -> None:
    pixels = np.zeros((*GRID.shape, 2), np.uint8)
    pixels[2, 3:9, 1:5, 0], pixels[2, 6:12, 2:8, 1] = 1, 1
    names = [("SDH left", dictionary.SCT.Hemorrhage), ("SDH right", dictionary.SCT.Hemorrhage)]
    file = save(written_by_others(series, "BINARY", pixels, names), tmp_path / "a.dcm")
    found = read_segmentation(file, series).labels
    np.testing.assert_array_equal(found == Subtype.SDH, pixels.any(axis=-1))


def test_an_overlap_of_two_subtypes_is_refused(series: Series, tmp_path: Path) -> None:
    pixels = np.zeros((*GRID.shape, 2), np.uint8)
    pixels[2, 3:9, 1:5, 0], pixels[2, 6:12, 2:8, 1] = 1, 1
    names = [("SDH", dictionary.SCT.Hemorrhage), ("EDH", dictionary.SCT.Hemorrhage)]
    file = save(written_by_others(series, "BINARY", pixels, names), tmp_path / "a.dcm")
    with pytest.raises(UnreadableInputError, match="different subtypes overlap"):
        read_segmentation(file, series)


def test_a_segment_of_no_subtype_is_refused(series: Series, tmp_path: Path) -> None:
    names = [("lesion", dictionary.SCT.Hemorrhage)]
    pixels = (labels() > 0).astype(np.uint8)
    file = save(written_by_others(series, "BINARY", pixels, names), tmp_path / "a.dcm")
    with pytest.raises(UnsupportedInputError, match="segment 1 name a subtype"):
        read_segmentation(file, series)


def test_a_fractional_segmentation_is_refused(series: Series, tmp_path: Path) -> None:
    dataset = ours(series, labels())
    dataset.SegmentationType = "FRACTIONAL"
    with pytest.raises(UnsupportedInputError, match="neither BINARY nor LABELMAP"):
        read_segmentation(save(dataset, tmp_path / "a.dcm"), series)


@pytest.mark.parametrize(
    ("syntax", "error"),
    [(JPEG2000Lossless, UnreadableInputError), (RLELossless, UnsupportedInputError)],
)
def test_bits_that_are_not_encoded_as_announced_are_refused(
    series: Series, tmp_path: Path, syntax: str, error: type[InputError]
) -> None:
    dataset = ours(series, labels())
    dataset.PixelData = encapsulate([b"no codestream"] * dataset.NumberOfFrames)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    with pytest.raises(error):
        read_segmentation(save(dataset, tmp_path / "a.dcm"), series)


def _shift(dataset: Dataset) -> None:
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [x, y + 1, z]


def _turn(dataset: Dataset) -> None:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]


def _spread(dataset: Dataset) -> None:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence[0].PixelSpacing = [5, 5]


def _other_frame(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = uid("elsewhere")


def _cut(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:40]


def _fewer(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[0]


def _no_segment(dataset: Dataset) -> None:
    item = dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0]
    item.ReferencedSegmentNumber = 99


def _no_pixels(dataset: Dataset) -> None:
    dataset.Rows = 0


def _image(dataset: Dataset) -> None:
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_shift, "does not lie on the grid"),
        (_turn, "does not lie on the grid"),
        (_spread, "does not lie on the grid"),
        (_other_frame, "another Frame of Reference"),
        (_cut, "cut short"),
        (_fewer, "more or fewer frames"),
        (_no_segment, "belongs to no segment"),
        (_no_pixels, "does not lie on the grid|no or too many pixels"),
        (_image, "none of Segmentations"),
    ],
)
def test_what_does_not_fit_its_series_is_refused(
    series: Series, tmp_path: Path, damage: Callable[[Dataset], None], message: str
) -> None:
    file = save(ours(series, labels()), tmp_path / "seg.dcm")
    dataset = dcmread(file)
    damage(dataset)
    with pytest.raises(InputError, match=message):
        read_segmentation(save(dataset, file), series)

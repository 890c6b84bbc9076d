"""Secondary Capture images (PS3.3 A.8.1): what any viewer shows, a summary page and overlays.

A machine can conclude nothing from them; they say in words and colours what the report has in
codes. Text is burned in, and none of it is the patient's.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from highdicom.sc import SCImage
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from config.errors import UnreadableInputError
from ml.readers.attributes import whole_of
from ml.readers.dicom import Series
from ml.readers.frames import FrameHeader, FrameReference, frame_headers
from ml.volume import Mask, Volume
from node.results.drawing import side_letter
from node.results.headers import Source, finish, is_multi_frame, prepare_source
from node.results.identity import ResultContext, SeriesNumber
from node.results.key_objects import key_frames
from node.results.outcomes import StudyResult
from node.results.overlay import draw_overlay
from node.results.summary_page import draw_page

MOST_POSITION_ERROR_MM = 0.01


def build_summary_page(
    context: ResultContext,
    result: StudyResult,
    headers: Sequence[Dataset],
    *,
    frames: Sequence[FrameReference] | None = None,
    volume: Volume | None = None,
    mask: Mask | None = None,
) -> Dataset:
    """Write the summary page of any outcome.

    Parameters
    ----------
    context, result
        What fixes identity, UIDs and dates; what is stated.
    headers
        The evidence, as for `build_report`.
    frames
        Where each slice of the volume comes from; without it slice k is `headers[k]`.
    volume, mask
        What was analysed, and the label map on its grid. With findings, a slice of each is shown;
        such a page has UIDs of its own.

    Raises
    ------
    ValueError
        If there is a volume without a mask, or one that the mask does not lie on.
    UnreadableInputError
        If a header lacks what an object needs to be filed under its study.
    PatientConflictError
        If the headers are not of one patient and of the context's study.
    """
    if (volume is None) != (mask is None):
        raise ValueError("a volume comes with its mask")
    if volume is not None and mask is not None and volume.hu.shape != mask.labels.shape:
        raise ValueError("volume and mask differ in shape")
    source = prepare_source(context, headers)
    places = frames or [FrameReference(index, 1) for index in range(len(headers))]
    names = [_image_name(source, place) for place in places]
    form = "slices" if volume is not None and result.findings else "text"
    page = _capture(
        context,
        source,
        draw_page(context, result, volume=volume, mask=mask, image_names=names),
        kind=f"SC-page-{form}",
        series_number=SeriesNumber.SUMMARY_PAGE,
        series_description=f"summary {result.wording.word}",
    )
    page.PatientOrientation = None  # a page has none
    if result.num_images:
        page.BodyPartExamined = "HEAD"
    else:  # what was not analysed may be anything
        page.Laterality = None
    shown = key_frames(result, places)
    _refer(page, source, shown or dict.fromkeys(range(len(headers)), ()))
    return page


def build_overlay(
    context: ResultContext, result: StudyResult, series: Series, mask: Mask
) -> tuple[Dataset, ...]:
    """Write each slice that shows a finding as a colour image with outlines, where its source lies.

    Parameters
    ----------
    context, result
        What fixes identity, UIDs and dates; what was found.
    series
        The analysed series, single- or multi-frame.
    mask
        Label map on its grid; what it has beyond the findings is not drawn.

    Returns
    -------
    tuple of Dataset
        In the order of the slices; empty without findings.

    Raises
    ------
    ValueError
        If the mask lacks a finding or does not lie on the series, or the series not where its
        headers say.
    UnreadableInputError
        If the source has no place in the patient, or lacks what an object needs.
    """
    found = [finding.subtype for finding in result.findings]
    if not set(found) <= set(np.unique(mask.labels)):
        raise ValueError("the mask lacks a finding")
    places = _places(series, mask)
    source = prepare_source(context, series.headers)
    shown = Mask(np.where(np.isin(mask.labels, found), mask.labels, np.uint8(0)), mask.grid)
    images = []
    for number, index in enumerate(np.flatnonzero(shown.labels.any(axis=(1, 2))), start=1):
        image = _capture(
            context,
            source,
            draw_overlay(context, result, series.volume, shown, int(index)),
            kind="SC-overlay",
            series_number=SeriesNumber.OVERLAY,
            series_description="overlay",
            instance_number=number,
        )
        _locate(image, source, places[index])
        image.BodyPartExamined = "HEAD"
        if series.lossy:  # and stays so (PS3.3 C.7.6.1.1.5)
            image.LossyImageCompression = "01"
        frame = series.frames[index]
        _refer(image, source, {frame.dataset_index: [frame.frame_number]})
        image.SourceImageSequence[0].SpatialLocationsPreserved = "YES"
        images.append(image)
    return tuple(images)


def _capture(
    context: ResultContext,
    source: Source,
    picture: Image.Image,
    *,
    kind: str,
    series_number: int,
    series_description: str,
    instance_number: int = 1,
) -> Dataset:
    """Make an 8-bit RGB image of a picture, of the patient and study of its source."""
    capture = SCImage(
        pixel_array=np.asarray(picture),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),  # wanted by highdicom; callers say how it is
        study_instance_uid=context.study_instance_uid,
        series_instance_uid=context.uid(f"{kind}-series"),
        series_number=context.series_number(series_number),
        series_description=context.node.series_description(series_description),
        sop_instance_uid=context.uid(f"{kind}-instance-{instance_number}"),
        instance_number=instance_number,
        patient_id=source.identity.PatientID,
        **context.constructor_arguments,
    )
    finish(capture, context, source)
    capture.DateOfSecondaryCapture = capture.ContentDate
    capture.TimeOfSecondaryCapture = capture.ContentTime
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.ConversionType = "WSD"
    capture.BurnedInAnnotation = "YES"
    capture.RecognizableVisualFeatures = "NO"
    return capture


def _refer(capture: Dataset, source: Source, shown: Mapping[int, Sequence[int]]) -> None:
    """Name what a capture shows or rests on; evidence that is no image is left out.

    Parameters
    ----------
    capture
        Changed in place.
    source
        Has the headers.
    shown
        For the index of each header its frames, or none for all of it.
    """
    items = []
    for index, frame_numbers in shown.items():
        image = source.headers[index]
        if "Rows" not in image:
            continue
        item = Dataset()
        item.ReferencedSOPClassUID = image.SOPClassUID
        item.ReferencedSOPInstanceUID = image.SOPInstanceUID
        if is_multi_frame(image) and frame_numbers:
            item.ReferencedFrameNumber = list(frame_numbers)
        items.append(item)
    if items:
        capture.SourceImageSequence = items


def _image_name(source: Source, place: FrameReference) -> str:
    """How a viewer counts an image: by its Instance Number, or by its frame."""
    image = source.headers[place.dataset_index]
    if is_multi_frame(image):
        return f"frame {place.frame_number}"
    number = whole_of(image, "InstanceNumber")
    return "no image number" if number is None else f"image {number}"


def _locate(image: Dataset, source: Source, place: FrameHeader) -> None:
    """Put an image where its source lies."""
    for keyword, values in (
        ("ImagePositionPatient", place.position_mm),
        ("ImageOrientationPatient", place.orientation),
        ("PixelSpacing", place.pixel_spacing_mm),
    ):
        if values is not None:
            setattr(image, keyword, [format_number_as_ds(float(value)) for value in values])
    thickness_mm = place.slice_thickness_mm
    image.SliceThickness = "" if thickness_mm is None else format_number_as_ds(thickness_mm)
    image.FrameOfReferenceUID = source.identity.FrameOfReferenceUID
    image.PositionReferenceIndicator = source.identity.get("PositionReferenceIndicator") or ""
    if place.orientation is not None:
        row, column = place.orientation[:3], place.orientation[3:]
        image.PatientOrientation = [side_letter(row), side_letter(column)]


def _places(series: Series, mask: Mask) -> list[FrameHeader]:
    """Describe the frame of each slice; refuse a mask or headers that lie elsewhere."""
    if not all(header.get("FrameOfReferenceUID") for header in series.headers):
        raise UnreadableInputError("a source image has no FrameOfReferenceUID")
    described = [frame_headers(header, index) for index, header in enumerate(series.headers)]
    places = [described[f.dataset_index][f.frame_number - 1] for f in series.frames]
    positions = [place.position_mm for place in places if place.position_mm is not None]
    if len(positions) < len(places):
        raise UnreadableInputError("a source image has no ImagePositionPatient")
    grid = series.volume.grid
    for origins_mm in (np.stack(positions), mask.grid.slice_origins_mm):
        if origins_mm.shape != grid.slice_origins_mm.shape or not np.allclose(
            origins_mm, grid.slice_origins_mm, atol=MOST_POSITION_ERROR_MM
        ):
            raise ValueError("mask and headers do not lie on the grid of the series")
    if mask.labels.shape != series.volume.hu.shape:
        raise ValueError("mask and series differ in shape")
    return places

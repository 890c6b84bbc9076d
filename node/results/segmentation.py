"""The Segmentation object (PS3.3 A.51): one segment for each subtype that is present.

It is BINARY unless a destination asks for a LABELMAP, and the frames without a voxel are left out
unless it asks for all. No axis is flipped anywhere: row, column and slice of the mask are those of
the source images.
"""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentDescription
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, RLELossless

from config.errors import UnreadableInputError, UnsupportedInputError
from ml.readers.dicom import Series
from ml.readers.frames import FrameReference, frame_headers
from ml.volume import Grid, Mask, Subtype
from node.results import codes
from node.results.forms import TRANSFER_SYNTAXES, Compression, SegmentationForm
from node.results.headers import Source, finish, is_multi_frame, prepare_source, replace_value
from node.results.identity import ModelIdentity, ResultContext, SeriesNumber

MOST_POSITION_ERROR_MM = 0.01
FEWEST_PIXELS_OF_JPEG2000 = 32
"""Rows and columns that openjpeg wants for its six levels of resolution."""


def build_segmentation(
    context: ResultContext,
    series: Series,
    mask: Mask,
    *,
    form: SegmentationForm = SegmentationForm.BINARY,
    keep_empty_frames: bool = False,
    compression: Compression = Compression.NONE,
) -> tuple[hd.seg.Segmentation, dict[Subtype, int]]:
    """Write a mask as a Segmentation of its source series.

    Parameters
    ----------
    context
        Fixes identity, UIDs and dates.
    series
        The analysed series; of its headers, which may be single- or multi-frame.
    mask
        Label map on the grid of the series.
    form
        BINARY or LABELMAP.
    keep_empty_frames
        Whether there is a frame for each source image, and in a BINARY object for each of its
        segments, however little it shows.
    compression
        Of the pixels, without loss.

    Returns
    -------
    tuple
        The object, and the segment number of each subtype present: 1 to k without a gap.

    Raises
    ------
    ValueError
        If the mask is empty (highdicom would write every frame of every segment), or does not lie
        on the series; if the form is NONE, or cannot be compressed so: BINARY by RLE, and images of
        fewer than 32 rows or columns by JPEG 2000.
    UnreadableInputError
        If the source has no frame of reference, or lacks what an object needs.
    UnsupportedInputError
        If the source is several multi-frame objects.
    """
    _check_form(form, compression, mask.grid)
    numbers = _numbers(mask)
    _check_grid(series, mask.grid)
    source = prepare_source(context, series.headers)
    segmentation = _construct(
        context,
        *_images_and_planes(source, series, _numbered(mask, numbers)),
        [_describe(context, subtype, number) for subtype, number in numbers.items()],
        form=form,
        keep_empty_frames=keep_empty_frames,
        compression=compression,
    )
    finish(segmentation, context, source)
    return segmentation, numbers


def _check_form(form: SegmentationForm, compression: Compression, grid: Grid) -> None:
    if form is SegmentationForm.NONE:
        raise ValueError("no Segmentation has the form NONE")
    if form is SegmentationForm.BINARY and compression is Compression.RLE:
        raise ValueError("a BINARY Segmentation cannot be compressed by RLE")
    fewest = min(grid.rows, grid.columns)
    if compression is Compression.JPEG2000 and fewest < FEWEST_PIXELS_OF_JPEG2000:
        raise ValueError(
            f"images of {fewest} rows or columns cannot be compressed by JPEG 2000, which wants "
            f"{FEWEST_PIXELS_OF_JPEG2000}"
        )


def _construct(
    context: ResultContext,
    images: Sequence[Dataset],
    planes: NDArray[np.uint8],
    segments: Sequence[SegmentDescription],
    *,
    form: SegmentationForm,
    keep_empty_frames: bool,
    compression: Compression,
) -> hd.seg.Segmentation:
    # an object of its own for each destination that wants other bytes: they are stored by their UID
    parts = ["SEG", form.value]
    parts += ["all-frames"] if keep_empty_frames else []
    parts += [compression.value] if compression is not Compression.NONE else []
    content = "-".join(parts)
    is_label_map = form is SegmentationForm.LABELMAP
    segmentation = hd.seg.Segmentation(
        source_images=images,
        pixel_array=planes,
        segmentation_type=form.value,
        segment_descriptions=segments,
        series_instance_uid=context.uid(f"{content}-series"),
        series_number=context.series_number(SeriesNumber.SEGMENTATION),
        sop_instance_uid=context.uid(f"{content}-instance"),
        instance_number=1,
        transfer_syntax_uid=TRANSFER_SYNTAXES[Compression.NONE if is_label_map else compression],
        omit_empty_frames=not keep_empty_frames,
        content_label="ICH_SEG",
        content_description="AI segmentation of intracranial haemorrhage",
        content_creator_name=f"AI^{context.model.name}",
        series_description=context.node.series_description("segmentation"),
        **context.constructor_arguments,
    )
    segmentation.BodyPartExamined = "HEAD"
    if is_label_map:
        # highdicom adds the background as segment 0, and viewers then give each segment the colour
        # of the one before it; Pixel Padding Value says already what belongs to no segment
        described = segmentation.SegmentSequence
        segmentation.SegmentSequence = [item for item in described if item.SegmentNumber > 0]
        _compress(segmentation, compression)
    return segmentation


def _compress(label_map: hd.seg.Segmentation, compression: Compression) -> None:
    """Compress a LABELMAP by encoders of our choice.

    highdicom leaves the choice to pydicom: for RLE it takes gdcm, which ends the process over an
    image of odd size, for JPEG 2000 it wants one package more.
    """
    if compression is Compression.RLE:
        label_map.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    elif compression is Compression.JPEG2000:
        shape = (label_map.NumberOfFrames, label_map.Rows, label_map.Columns)
        frames = np.frombuffer(label_map.PixelData, np.uint8, count=np.prod(shape)).reshape(shape)
        label_map.PixelData = encapsulate(
            [encode_array(frame, bits_stored=8, photometric_interpretation=2) for frame in frames]
        )
        label_map.file_meta.TransferSyntaxUID = JPEG2000Lossless


def _numbers(mask: Mask) -> dict[Subtype, int]:
    """Give each subtype that is present a number."""
    present = np.unique(mask.labels[mask.labels > 0]).tolist()
    if not present:
        raise ValueError("no Segmentation is made of an empty mask")
    return {Subtype(value): number for number, value in enumerate(present, start=1)}


def _numbered(mask: Mask, numbers: dict[Subtype, int]) -> NDArray[np.uint8]:
    """Replace each label by its segment number; BINARY segments are numbered without a gap."""
    table = np.zeros(max(Subtype) + 1, np.uint8)
    for subtype, number in numbers.items():
        table[subtype] = number
    numbered: NDArray[np.uint8] = table[mask.labels]
    return numbered


def _describe(context: ResultContext, subtype: Subtype, number: int) -> SegmentDescription:
    terms = codes.SUBTYPES[subtype]
    return SegmentDescription(
        segment_number=number,
        segment_label=terms.label,
        segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        segmented_property_type=terms.finding,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=_algorithm(context.model),
        tracking_id=terms.tracking_identifier,
        tracking_uid=context.tracking_uid(terms.tracking_identifier),
        anatomic_regions=[terms.sites[-1]],
        display_color=CIELabColor.from_rgb(*terms.rgb),
    )


def _algorithm(model: ModelIdentity) -> hd.AlgorithmIdentificationSequence:
    return hd.AlgorithmIdentificationSequence(
        name=model.name,
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=model.version,
        source=model.manufacturer,
    )


def _images_and_planes(
    source: Source, series: Series, labels: NDArray[np.uint8]
) -> tuple[list[Dataset], NDArray[np.uint8]]:
    """Put each slice of the label map beside the image or frame that it belongs to.

    Returns
    -------
    tuple
        Source images, and shape (N, Y, X): the plane of each single-frame image, or of each frame
        of the one multi-frame image. Frames outside the volume stay empty and are left out.
    """
    if not is_multi_frame(source.headers[0]):
        images = [source.headers[frame.dataset_index] for frame in series.frames]
        for image in images:
            _complete_geometry(image, images[0], series.volume.grid)
        return images, labels
    if len(source.headers) > 1:
        raise UnsupportedInputError(
            f"a Segmentation of {len(source.headers)} multi-frame images; 1 is supported"
        )
    image = source.headers[0]
    planes = np.zeros((int(image.NumberOfFrames), *labels.shape[1:]), np.uint8)
    for plane, frame in zip(labels, series.frames, strict=True):
        planes[frame.frame_number - 1] = plane
    replace_value(
        image, "SharedFunctionalGroupsSequence", [_shared_groups(image, series.frames[0])]
    )
    return [image], planes


def _complete_geometry(image: Dataset, first: Dataset, grid: Grid) -> None:
    """Level out, on copied headers, what highdicom wants exact or present.

    Directions that differ in the last digit become those of the first image. An empty Slice
    Thickness becomes the median extent of a slice: what the segmentation's voxels stand for.
    """
    replace_value(image, "ImageOrientationPatient", first.ImageOrientationPatient)
    if not image.get("SliceThickness"):
        extent_mm = float(np.median(grid.slice_steps_mm))
        replace_value(image, "SliceThickness", f"{extent_mm:.4f}")


def _shared_groups(image: Dataset, frame: FrameReference) -> Dataset:
    """Shared functional groups with orientation and measures, which some senders give per frame."""
    shared = Dataset()
    shared.update(image.SharedFunctionalGroupsSequence[0])
    own = image.PerFrameFunctionalGroupsSequence[frame.frame_number - 1]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if keyword not in shared and keyword in own:
            shared[keyword] = own[keyword]
    return shared


def _check_grid(series: Series, grid: Grid) -> None:
    """Refuse a mask that is not on the series, and a series that is not where its headers say.

    This is the last point where slices in another order, or axes turned round, would be seen.
    """
    volume_grid = series.volume.grid
    if grid.shape != volume_grid.shape or not np.allclose(
        grid.slice_origins_mm, volume_grid.slice_origins_mm, atol=MOST_POSITION_ERROR_MM
    ):
        raise ValueError("the mask does not lie on the grid of the series")
    positions_mm = _positions_mm(series.headers, series.frames)
    if len(positions_mm) != len(grid.slice_origins_mm) or not np.allclose(
        positions_mm, grid.slice_origins_mm, atol=MOST_POSITION_ERROR_MM
    ):
        raise ValueError("slices of the series do not lie where their headers say")


def _positions_mm(
    headers: Sequence[Dataset], frames: Sequence[FrameReference]
) -> NDArray[np.float64]:
    """Read Image Position (Patient) of each slice, shape (Z, 3), LPS mm."""
    if not all(header.get("FrameOfReferenceUID") for header in headers):
        raise UnreadableInputError("a source image has no FrameOfReferenceUID")
    described = [frame_headers(header, index) for index, header in enumerate(headers)]
    positions = [described[f.dataset_index][f.frame_number - 1].position_mm for f in frames]
    found = [position for position in positions if position is not None]
    if len(found) < len(positions):
        raise UnreadableInputError("a source image has no ImagePositionPatient")
    return np.stack(found)

"""The Key Object Selection (PS3.3 A.35.4, PS3.16 TID 2010): the images to look at first."""

from collections.abc import Sequence

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import ContentSequence
from pydicom.dataset import Dataset

from ml.readers.frames import FrameReference
from node.results import codes
from node.results.headers import finish, is_multi_frame, prepare_source
from node.results.identity import ResultContext, SeriesNumber
from node.results.outcomes import StudyResult
from node.results.report_groups import observe


def build_key_objects(
    context: ResultContext,
    result: StudyResult,
    headers: Sequence[Dataset],
    *,
    frames: Sequence[FrameReference] | None,
) -> Dataset:
    """Select the images, or frames, with the key outline of each finding.

    Parameters
    ----------
    context, result
        What fixes identity, UIDs and dates; what was found.
    headers
        Of all analysed images in the order of the volume.
    frames
        Where each slice of the volume comes from; None if slice k is `headers[k]`.

    Raises
    ------
    ValueError
        If nothing was found.
    UnreadableInputError
        If a header lacks what an object needs to be filed under its study.
    PatientConflictError
        If the headers are not of one patient and of the context's study.
    """
    if not result.findings:
        raise ValueError("without findings there are no key objects")
    shown = key_frames(result, frames or [FrameReference(k, 1) for k in range(len(headers))])
    # highdicom takes patient and study from the first of the selected images
    others = [header for index, header in enumerate(headers) if index not in shown]
    source = prepare_source(context, [*(headers[index] for index in shown), *others])
    images = source.headers[: len(shown)]
    document = KeyObjectSelectionDocument(
        evidence=images,
        content=_content(context, result, images),
        series_instance_uid=context.uid("KOS-series"),
        series_number=context.series_number(SeriesNumber.KEY_OBJECTS),
        sop_instance_uid=context.uid("KOS-instance"),
        instance_number=1,
        series_description=context.node.series_description("key images"),
        **context.constructor_arguments,
    )
    references = document.ContentSequence[-len(images) :]
    for reference, image, frame_numbers in zip(references, images, shown.values(), strict=True):
        del reference.ConceptNameCodeSequence  # highdicom 0.28 writes what TID 2010 row 8 forbids
        if is_multi_frame(image):
            reference.ReferencedSOPSequence[0].ReferencedFrameNumber = frame_numbers
    finish(document, context, source)
    return document


def key_frames(result: StudyResult, places: Sequence[FrameReference]) -> dict[int, list[int]]:
    """Find the frames with the key outlines of a result's findings.

    Parameters
    ----------
    result
        May have no findings.
    places
        Where each slice of the volume comes from.

    Returns
    -------
    dict
        For the index of each header that has some, their frame numbers, in the order of the slices.
    """
    shown: dict[int, list[int]] = {}
    for key in sorted({finding.outlines[0].slice_index for finding in result.findings}):
        shown.setdefault(places[key].dataset_index, []).append(places[key].frame_number)
    return shown


def _content(
    context: ResultContext, result: StudyResult, images: Sequence[Dataset]
) -> KeyObjectSelection:
    """TID 2010: the model as observer, what is stated, and the images."""
    content = KeyObjectSelection(
        document_title=codes.OF_INTEREST,
        referenced_objects=images,
        description=f"{result.wording.sentence} {context.node.disclaimer}",
    )
    selected = content[0].ContentSequence
    content[0].ContentSequence = ContentSequence([*observe(context), *selected])
    return content

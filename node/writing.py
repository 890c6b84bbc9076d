"""The last stage of an analysis: result objects in the forms that a destination gets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from ml.readers.dicom import Series
from ml.volume import Mask
from node.results.forms import Forms, ReportForm, SegmentationForm
from node.results.headers import encode
from node.results.identity import ResultContext
from node.results.key_objects import build_key_objects
from node.results.outcomes import StudyResult
from node.results.report import build_report
from node.results.secondary_capture import build_overlay, build_summary_page
from node.results.segmentation import build_segmentation
from node.results.text_report import build_text_report

SENDING_ORDER = ("SEG", "PAGE", "OVERLAY", "KOS", "SR")
"""Kinds of objects: no report goes before what it refers to."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found in a series.

    Attributes
    ----------
    series
        What was analysed.
    mask
        Lesions large enough to be reported, on the grid of the series.
    result
        What may be said about the case.
    """

    series: Series
    mask: Mask
    result: StudyResult


@dataclass(frozen=True)
class ResultObject:
    """A result as a DICOM Part 10 file.

    Attributes
    ----------
    kind
        One of `SENDING_ORDER`; every form of the report is an ``SR``.
    content
        The file; the same bytes whenever it is made from the same input.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    content: bytes


def write(
    context: ResultContext,
    analysis: Analysis,
    *,
    forms: Forms = Forms(),  # noqa: B008 - frozen
    previous: Dataset | None = None,
) -> tuple[ResultObject, ...]:
    """Make the objects of an analysis, in the order of sending: the report last.

    Parameters
    ----------
    context
        Fixes UIDs and dates.
    analysis
        What was found.
    forms
        What is made. Mask, overlay and key objects exist only beside findings.
    previous
        The report that the new one replaces.
    """
    return tuple(
        _object(kind, dataset) for kind, dataset in _datasets(context, analysis, forms, previous)
    )


def write_failure(
    context: ResultContext,
    result: StudyResult,
    headers: Sequence[Dataset],
    *,
    forms: Forms = Forms(),  # noqa: B008 - frozen
    previous: Dataset | None = None,
) -> tuple[ResultObject, ...]:
    """Make the objects of a study that could not be analysed, from whatever headers it has."""
    made = []
    if forms.summary_page:
        made.append(_object("PAGE", build_summary_page(context, result, headers)))
    match forms.report:
        case ReportForm.NONE:
            pass
        case ReportForm.BASIC_TEXT:
            text = build_text_report(context, result, headers, previous=previous)
            made.append(_object("SR", text))
        case form:
            report = build_report(context, result, headers, form=form, previous=previous)
            made.append(_object("SR", report))
    return tuple(made)


def _datasets(
    context: ResultContext, analysis: Analysis, forms: Forms, previous: Dataset | None
) -> Iterator[tuple[str, Dataset]]:
    series, mask, result = analysis.series, analysis.mask, analysis.result
    segmentation, segment_numbers = None, None
    if result.findings and forms.segmentation is not SegmentationForm.NONE:
        segmentation, segment_numbers = build_segmentation(
            context,
            series,
            mask,
            form=forms.segmentation,
            keep_empty_frames=forms.keep_empty_frames,
            compression=forms.compression,
        )
        yield "SEG", segmentation
    if forms.summary_page:
        yield (
            "PAGE",
            build_summary_page(
                context,
                result,
                series.headers,
                frames=series.frames,
                volume=series.volume,
                mask=mask,
            ),
        )
    if result.findings and forms.overlay:
        for image in build_overlay(context, result, series, mask):
            yield "OVERLAY", image
    if result.findings and forms.key_objects:
        yield "KOS", build_key_objects(context, result, series.headers, frames=series.frames)
    match forms.report:
        case ReportForm.NONE:
            return
        case ReportForm.BASIC_TEXT:
            yield "SR", build_text_report(context, result, series.headers, previous=previous)
        case form:
            yield (
                "SR",
                build_report(
                    context,
                    result,
                    series.headers,
                    form=form,
                    frames=series.frames,
                    segmentation=segmentation,
                    segment_numbers=segment_numbers,
                    previous=previous,
                ),
            )


def _object(kind: str, dataset: Dataset) -> ResultObject:
    return ResultObject(
        kind, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), encode(dataset)
    )

"""The report (PS3.16 TID 1500, by default a Comprehensive 3D SR): one for every outcome.

The statement on the case stands in the Qualitative Evaluations, in the same form for each outcome;
Imaging Measurements are there only beside findings.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import highdicom as hd
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    NumContentItem,
    RelationshipTypeValues,
    SourceImageForRegion,
    TextContentItem,
)
from highdicom.sr.templates import DEFAULT_LANGUAGE
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from config.errors import PatientConflictError
from ml.familiarity import Familiarity
from ml.readers.frames import FrameReference
from ml.volume import Subtype
from node.results import codes
from node.results.forms import ReportForm
from node.results.headers import Source, finish, is_multi_frame, prepare_source
from node.results.identity import ResultContext, SeriesNumber
from node.results.outcomes import (
    PRESENCE_CODES,
    STATUS_CODES,
    SUMMARY_CODES,
    Outcome,
    StudyResult,
)
from node.results.report_groups import (
    PERCENT_DIGITS,
    VOLUME_DIGITS,
    identify_algorithm,
    midline_shift_group,
    observe,
    region_groups,
    subtype_group,
)

CONTAINS = RelationshipTypeValues.CONTAINS
IMAGE_LIBRARY_NEEDS = (
    "PixelSpacing",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
)
"""What TID 1604 describes; an image without one of these is left out of the Image Library."""
DOCUMENTS: Mapping[
    ReportForm, type[hd.sr.Comprehensive3DSR | hd.sr.ComprehensiveSR | hd.sr.EnhancedSR]
] = MappingProxyType(
    {
        ReportForm.COMPREHENSIVE_3D: hd.sr.Comprehensive3DSR,
        ReportForm.COMPREHENSIVE: hd.sr.ComprehensiveSR,
        ReportForm.ENHANCED: hd.sr.EnhancedSR,
    }
)
"""The classes in which the tree may stand; all outlines are in pixels of an image, so that the
poorer ones can hold them."""
CODE_PARTS = (("CodeValue", 16), ("CodingSchemeDesignator", 16), ("CodeMeaning", 64))
"""Attributes of a code, and how many characters each may have."""


def build_report(
    context: ResultContext,
    result: StudyResult,
    headers: Sequence[Dataset],
    *,
    form: ReportForm = ReportForm.COMPREHENSIVE_3D,
    frames: Sequence[FrameReference] | None = None,
    segmentation: Dataset | None = None,
    segment_numbers: Mapping[Subtype, int] | None = None,
    previous: Dataset | None = None,
) -> Dataset:
    """Write the report of any outcome: preliminary, unverified, complete unless it is PARTIAL.

    Parameters
    ----------
    context, result
        What fixes identity, UIDs and dates; what is stated.
    headers
        The evidence: headers of all analysed images in the order of the volume; for FAILED those of
        the chosen series; for NOT_ATTEMPTED one of each series looked at.
    form
        One of the three that carry codes: `node.results.text_report` writes text.
    frames
        Where each slice comes from; without it slice k is `headers[k]`.
    segmentation, segment_numbers
        The Segmentation, and the segment of each subtype with a finding. Without them, the volumes
        stand in groups that refer to no segment; such a report has UIDs of its own.
    previous
        The report that this one replaces.

    Raises
    ------
    ValueError
        If the arguments contradict each other.
    UnreadableInputError
        If a header lacks what an object needs to be filed under its study.
    PatientConflictError
        If the headers are not of one patient and of the context's study.
    """
    _check_form(form)
    _check_references(context, result, segmentation, segment_numbers, previous)
    source = prepare_source(context, headers)
    root = _root(context)
    if result.findings:
        places = frames or [FrameReference(index, 1) for index in range(len(headers))]
        root.ContentSequence.extend(_image_library(result, source, places))
        measurements = _measurements(
            context,
            result,
            source,
            frames=places,
            segmentation=segmentation,
            segment_numbers=segment_numbers,
        )
        root.ContentSequence.append(measurements)
    root.ContentSequence.append(_evaluations(context, result))
    referred = {"segmentation": segmentation, "previous": previous}
    report = _document(context, result, source, root, form=form, **referred)
    finish(report, context, source)
    return report


def _document(
    context: ResultContext,
    result: StudyResult,
    source: Source,
    root: ContainerContentItem,
    *,
    form: ReportForm,
    segmentation: Dataset | None,
    previous: Dataset | None,
) -> Dataset:
    """Put the content tree into its document (PS3.3 A.35.13, A.35.3, A.35.2).

    What it refers to is part of its UIDs: a report on another form of the mask, or after another
    report, is another one.
    """
    referred = [str(each.SOPInstanceUID) for each in (segmentation, previous) if each is not None]
    kind = "-".join(("SR", form, "SEG" if segmentation is not None else "no-SEG", *referred))
    return DOCUMENTS[form](
        evidence=[*source.headers, *([] if segmentation is None else [segmentation])],
        content=root,
        series_instance_uid=context.uid(f"{kind}-series"),
        series_number=context.series_number(SeriesNumber.REPORT),
        sop_instance_uid=context.uid(f"{kind}-instance"),
        instance_number=1,
        is_complete=result.outcome is not Outcome.PARTIAL,
        is_final=False,
        is_verified=False,
        previous_versions=None if previous is None else [previous],
        performed_procedure_codes=_performed_procedures(source.identity) or None,
        series_description=context.node.series_description(f"report {result.wording.word}"),
        coding_schemes=[_private_scheme(context)],
        **context.constructor_arguments,
    )


def _check_form(form: ReportForm) -> None:
    if form not in DOCUMENTS:
        raise ValueError(f"{form} is no report with codes")


def _check_references(
    context: ResultContext,
    result: StudyResult,
    segmentation: Dataset | None,
    segment_numbers: Mapping[Subtype, int] | None,
    previous: Dataset | None,
) -> None:
    """Refuse a segmentation of other findings, and objects of another study."""
    if (segmentation is None) != (segment_numbers is None):
        raise ValueError("a Segmentation comes with its segment numbers")
    found = {finding.subtype for finding in result.findings}
    if segment_numbers is not None and (not found or set(segment_numbers) != found):
        raise ValueError("the segments are not those of the findings")
    for referenced in (segmentation, previous):
        if referenced is not None and referenced.StudyInstanceUID != context.study_instance_uid:
            raise PatientConflictError("a referenced object is of another study than the job")


def report_text(context: ResultContext, result: StudyResult) -> str:
    """Write the whole result in plain text, without patient data: sentence, numbers, disclaimer."""
    return "\r\n".join(
        [
            result.wording.sentence,
            *result.finding_lines(),
            *result.case_lines(),
            context.node.disclaimer,
        ]
    )


def _root(context: ResultContext) -> ContainerContentItem:
    """Root container with language, observer and procedure (TID 1500 rows 1 to 4)."""
    root = ContainerContentItem(
        name=codes.IMAGING_MEASUREMENT_REPORT, template_id="1500", is_content_continuous=False
    )
    root.ContentSequence = ContentSequence()
    root.ContentSequence.extend(hd.sr.LanguageOfContentItemAndDescendants(DEFAULT_LANGUAGE))
    root.ContentSequence.extend(observe(context))
    root.ContentSequence.append(
        CodeContentItem(
            codes.PROCEDURE_REPORTED, codes.CT_PROCEDURE, RelationshipTypeValues.HAS_CONCEPT_MOD
        )
    )
    return root


def _image_library(
    result: StudyResult, source: Source, frames: Sequence[FrameReference]
) -> ContentSequence:
    """TID 1600 of the images with an outline or line; empty if none can be described."""
    slices = {outline.slice_index for finding in result.findings for outline in finding.outlines}
    if result.midline_shift is not None:
        slices.add(result.midline_shift.slice_index)
    indices = sorted({frames[index].dataset_index for index in slices})
    keys = [
        source.headers[index]
        for index in indices
        if all(source.headers[index].get(keyword) for keyword in IMAGE_LIBRARY_NEEDS)
    ]
    return ContentSequence(hd.sr.ImageLibrary(keys) if keys else ())


def _measurements(
    context: ResultContext,
    result: StudyResult,
    source: Source,
    *,
    frames: Sequence[FrameReference],
    segmentation: Dataset | None,
    segment_numbers: Mapping[Subtype, int] | None,
) -> ContainerContentItem:
    """Imaging Measurements (TID 1500 row 6): subtypes by falling volume, then midline shift."""
    images = [_region_source(source.headers[frame.dataset_index], frame) for frame in frames]
    groups = ContentSequence()
    for finding in result.findings:
        number = 0 if segment_numbers is None else segment_numbers[finding.subtype]
        groups.extend(
            subtype_group(
                context,
                finding,
                segmentation=segmentation,
                segment_number=number,
                series_instance_uid=source.identity.SeriesInstanceUID,
            )
        )
        for group in region_groups(context, finding, images):
            groups.extend(group)
    if (shift := result.midline_shift) is not None:
        groups.extend(midline_shift_group(context, shift, images[shift.slice_index]))
    container = ContainerContentItem(
        name=codes.IMAGING_MEASUREMENTS, is_content_continuous=False, relationship_type=CONTAINS
    )
    container.ContentSequence = groups
    return container


def _region_source(header: Dataset, frame: FrameReference) -> SourceImageForRegion:
    return SourceImageForRegion.from_source_image(
        header, [frame.frame_number] if is_multi_frame(header) else None
    )


def _evaluations(context: ResultContext, result: StudyResult) -> ContainerContentItem:
    """Qualitative Evaluations (TID 1500 row 12): the statement on the case."""
    items = ContentSequence()

    def state(name: Code, value: Code) -> None:
        items.append(CodeContentItem(name, value, CONTAINS))

    state(codes.SUMMARY_OF_DETECTIONS, STATUS_CODES[result.outcome])
    if result.outcome in SUMMARY_CODES:
        state(codes.CAD_SUMMARY, SUMMARY_CODES[result.outcome])
    items.append(_case_item(context, result))
    if result.familiarity is not None:
        items.append(_quality_item(result.familiarity))
    for subtype, presence in result.subtypes.items():
        state(codes.SUBTYPES[subtype].item, PRESENCE_CODES[presence])
    if result.reason is not None:
        state(codes.REASON, codes.REASONS[result.reason])
    items.append(TextContentItem(codes.COMMENT, report_text(context, result), CONTAINS))
    container = ContainerContentItem(
        name=codes.QUALITATIVE_EVALUATIONS, is_content_continuous=False, relationship_type=CONTAINS
    )
    container.ContentSequence = items
    return container


def _case_item(context: ResultContext, result: StudyResult) -> CodeContentItem:
    """Presence of haemorrhage of any subtype, with algorithm, score and total volume.

    A volume of zero is stated only where the absence of findings is the result.
    """
    item = CodeContentItem(codes.INTRACRANIAL_HEMORRHAGE, PRESENCE_CODES[result.presence], CONTAINS)
    item.ContentSequence = ContentSequence(identify_algorithm(context.model))
    numbers: list[tuple[Code, float, Code]] = []
    if result.case_score_percent is not None:
        score = round(result.case_score_percent, PERCENT_DIGITS)
        numbers.append((codes.CERTAINTY_OF_FINDING, score, codes.PERCENT))
    if result.findings or result.outcome is Outcome.NEGATIVE:
        numbers.append((codes.VOLUME, round(result.total_ml, VOLUME_DIGITS), codes.MILLILITRE))
    item.ContentSequence.extend(_properties(numbers))
    return item


def _quality_item(familiarity: Familiarity) -> CodeContentItem:
    """Quality of the images: like those of the training or not, with distance and limit."""
    value = codes.LIKE_TRAINING if familiarity.is_familiar else codes.UNLIKE_TRAINING
    item = CodeContentItem(codes.IMAGE_QUALITY, value, CONTAINS)
    item.ContentSequence = ContentSequence(
        _properties(
            [
                (codes.TRAINING_DISTANCE, round(familiarity.distance, 3), codes.NO_UNITS),
                (codes.TRAINING_LIMIT, round(familiarity.limit, 3), codes.NO_UNITS),
            ]
        )
    )
    return item


def _properties(numbers: Sequence[tuple[Code, float, Code]]) -> list[NumContentItem]:
    """Numbers of a statement: name, value, unit."""
    return [
        NumContentItem(
            name=name,
            value=value,
            unit=unit,
            relationship_type=RelationshipTypeValues.HAS_PROPERTIES,
        )
        for name, value, unit in numbers
    ]


def _performed_procedures(header: Dataset) -> list[Code]:
    """List the site's own codes of the imaging procedure, as far as they are valid codes."""
    found = []
    for item in header.get("ProcedureCodeSequence") or ():
        parts = [str(item.get(keyword) or "") for keyword, _ in CODE_PARTS]
        if all(0 < len(part) <= most for part, (_, most) in zip(parts, CODE_PARTS, strict=True)):
            found.append(Code(*parts))
    return found


def _private_scheme(context: ResultContext) -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(
        designator=codes.PRIVATE_SCHEME,
        name=codes.PRIVATE_SCHEME_NAME,
        version=codes.PRIVATE_SCHEME_VERSION,
        responsible_organization=context.node.manufacturer,
    )

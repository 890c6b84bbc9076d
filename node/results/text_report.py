"""The report as text (Basic Text SR, PS3.3 A.35.1, PS3.16 TID 2000), for who takes no richer one.

It says the same words as the Comprehensive 3D SR, and has none of its codes: a machine can conclude
nothing from it.
"""

from collections.abc import Sequence

import highdicom as hd
from highdicom.sr import (
    ContainerContentItem,
    ContentSequence,
    RelationshipTypeValues,
    TextContentItem,
)
from highdicom.sr.templates import DEFAULT_LANGUAGE
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage

from config.errors import PatientConflictError
from node.results import codes
from node.results.headers import finish, prepare_source
from node.results.identity import ResultContext, SeriesNumber
from node.results.outcomes import Outcome, StudyResult
from node.results.report import report_text
from node.results.report_groups import observe

CONTAINS = RelationshipTypeValues.CONTAINS


def build_text_report(
    context: ResultContext,
    result: StudyResult,
    headers: Sequence[Dataset],
    *,
    previous: Dataset | None = None,
) -> Dataset:
    """Write the text of any outcome: preliminary, unverified, complete unless it is PARTIAL.

    Parameters
    ----------
    context, result
        What fixes identity, UIDs and dates; what is stated.
    headers
        The evidence, as for `build_report`.
    previous
        The report that this one replaces.

    Raises
    ------
    UnreadableInputError
        If a header lacks what an object needs to be filed under its study.
    PatientConflictError
        If the headers, or the previous report, are not of one patient and of the context's study.
    """
    if previous is not None and previous.StudyInstanceUID != context.study_instance_uid:
        raise PatientConflictError("a referenced object is of another study than the job")
    source = prepare_source(context, headers)
    kind = "SR-BasicText" + ("" if previous is None else f"-after-{previous.SOPInstanceUID}")
    # highdicom has no class for Basic Text; what is in the tree is as legal there
    report = hd.sr.EnhancedSR(
        evidence=source.headers,
        content=_root(context, result),
        series_instance_uid=context.uid(f"{kind}-series"),
        series_number=context.series_number(SeriesNumber.TEXT_REPORT),
        sop_instance_uid=context.uid(f"{kind}-instance"),
        instance_number=1,
        is_complete=result.outcome is not Outcome.PARTIAL,
        is_final=False,
        is_verified=False,
        previous_versions=None if previous is None else [previous],
        series_description=context.node.series_description(f"text {result.wording.word}"),
        **context.constructor_arguments,
    )
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    finish(report, context, source)
    return report


def _root(context: ResultContext, result: StudyResult) -> ContainerContentItem:
    """Root of TID 2000: language, observer, conclusions, and findings if there are any.

    Headings have the codes of DICOM, which CID 7001 had before those of LOINC and which its readers
    know: whoever takes text alone is rarely new. The group is a baseline, so that both conform.
    """
    found = result.finding_lines()
    concluded = [line for line in report_text(context, result).split("\r\n") if line not in found]
    root = ContainerContentItem(
        name=codes.DIAGNOSTIC_IMAGING_REPORT, template_id="2000", is_content_continuous=False
    )
    root.ContentSequence = ContentSequence()
    root.ContentSequence.extend(hd.sr.LanguageOfContentItemAndDescendants(DEFAULT_LANGUAGE))
    root.ContentSequence.extend(observe(context))
    root.ContentSequence.append(
        _section(codes.CONCLUSIONS, codes.CONCLUSION, ["\r\n".join(concluded)])
    )
    if found:
        root.ContentSequence.append(_section(codes.FINDINGS, codes.FINDING, found))
    return root


def _section(title: Code, name: Code, texts: Sequence[str]) -> ContainerContentItem:
    section = ContainerContentItem(
        name=title, is_content_continuous=False, relationship_type=CONTAINS
    )
    section.ContentSequence = ContentSequence(
        [TextContentItem(name, text, CONTAINS) for text in texts]
    )
    return section

"""Result objects written by the pipeline itself, so that a document says what they hold.

A small made-up head is reported in every way that there is. It is done for two installations and
two patients that have nothing in common, and for images with nothing but what they must have: what
is equal in all is fixed, what is a patient's is copied, what is an installation's is configured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from config.errors import Reason
from ml.familiarity import Familiarity
from ml.findings import Finding, Side, measure
from ml.midline_shift import MidlineShift
from ml.readers.dicom import Series
from ml.readers.frames import FrameReference
from ml.volume import Grid, Mask, Subtype, Volume
from node.results.forms import Compression, Forms, ReportForm, SegmentationForm
from node.results.identity import (
    ContentQualification,
    ModelIdentity,
    NodeIdentity,
    ResultContext,
)
from node.results.outcomes import WORDINGS, Outcome, Presence, StudyResult
from node.writing import Analysis, write, write_failure

NUM_SLICES, SIZE, PIXEL_MM, STEP_MM = 8, 32, 5.0, 5.0
"""Of the first patient's head; the second one's differs."""
AIR_HU, BRAIN_HU, BLOOD_HU = -1000.0, 35.0, 65.0
SCORE_PERCENT = 90.0
DETAIL = "A slice is missing."
FOUND, FOUND_IN_PART = (Subtype.IVH, Subtype.SDH), (Subtype.SDH,)
"""Few subtypes are enough: what is said of one is said of each."""
LOSSY: Mapping[str, object] = {
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": 10.0,
    "LossyImageCompressionMethod": "ISO_15444_1",
}
BARE = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID",
    "FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "Rows", "Columns", "Modality",
)  # fmt: skip
"""What images have at least that come as far as an analysis."""


@dataclass(frozen=True)
class Installation:
    """Who writes, of which patient."""

    node: NodeIdentity
    model: ModelIdentity
    patient: int
    bare: bool = False


@dataclass(frozen=True)
class Written:
    """A result object, as a peer reads it."""

    kind: str
    dataset: Dataset


@dataclass(frozen=True, eq=False)
class Specimen:
    """What is written of one result.

    Attributes
    ----------
    result
        What it says.
    sources
        Headers of the images.
    objects
        In the order of sending.
    """

    result: StudyResult
    sources: tuple[Dataset, ...]
    objects: tuple[Written, ...]


EVERYTHING = Forms(overlay=True, key_objects=True)
"""All kinds of objects, in the forms that a destination gets unless it asks for others."""


def all_statements(
    installation: Installation, forms: Forms = EVERYTHING
) -> dict[tuple[Outcome, Presence], Specimen]:
    """Report a head in every way that there is, one specimen for each of `WORDINGS`."""
    return {statement: write_specimen(installation, forms, *statement) for statement in WORDINGS}


def all_forms() -> tuple[Forms, ...]:
    """List forms so that each way to write a mask and a report is among them."""
    found = []
    for segmentation in SegmentationForm:
        for compression in Compression:
            if segmentation is SegmentationForm.NONE and compression is not Compression.NONE:
                continue
            try:
                found.append(Forms(segmentation=segmentation, compression=compression))
            except ValueError:  # this mask cannot be compressed so
                continue
    return (*found, *(Forms(report=report) for report in ReportForm))


def other_installation(installation: Installation) -> Installation:
    """Make up an installation that has nothing in common with another one."""
    return Installation(
        replace(
            installation.node,
            ae_title="OTHER",
            manufacturer="Another manufacturer",
            product="Another product",
            version="999",
            serial="Another serial",
            content_qualification=ContentQualification.SERVICE,
            approved=False,
        ),
        ModelIdentity("another-model", "999", "Another manufacturer", "1.2.3"),
        patient=installation.patient + 1,
    )


@cache
def write_specimen(
    installation: Installation, forms: Forms, outcome: Outcome, presence: Presence
) -> Specimen:
    """Report a head in one way."""
    subtypes = FOUND_IN_PART if outcome is Outcome.PARTIAL else FOUND
    mask = _mask(subtypes, installation.patient)
    series = _series(mask, installation)
    found = measure(
        series.volume, mask, certainty_percent=dict.fromkeys(Subtype, SCORE_PERCENT), alignment=None
    )
    findings = [replace(each, side=Side.LEFT) for each in found]
    result = _result(outcome, presence, findings, num_images=len(series.frames))
    context = context_of(installation, series.headers[0])
    if result.num_images:
        made = write(context, Analysis(series, mask, result), forms=forms)
    else:
        made = write_failure(context, result, series.headers, forms=forms)
    objects = (Written(each.kind, dcmread(BytesIO(each.content))) for each in made)
    return Specimen(result, series.headers, tuple(objects))


def context_of(
    installation: Installation, source: Dataset, *, generation: int = 1
) -> ResultContext:
    """Fix UIDs and dates of a specimen."""
    number = 1 + installation.patient
    return ResultContext(
        node=installation.node,
        model=installation.model,
        study_instance_uid=str(source.StudyInstanceUID),
        series_instance_uid=str(source.SeriesInstanceUID),
        input_digest=f"specimen {number}",
        created=datetime(2030 + number, number, number, number, tzinfo=UTC),
        generation=generation,
    )


def _result(
    outcome: Outcome, presence: Presence, findings: list[Finding], *, num_images: int
) -> StudyResult:
    """Make the result with an outcome and a presence."""
    measured: dict[str, Any] = {
        "num_images": num_images,
        "case_score_percent": SCORE_PERCENT,
        "familiarity": Familiarity(distance=0.5, limit=1.0, nearer_percent=50.0),
    }
    shift = MidlineShift(9.0, Side.RIGHT, slice_index=3, points=np.array([[8.0, 8.0], [9.0, 8.0]]))
    match outcome, presence:
        case Outcome.POSITIVE, _:
            return StudyResult.positive(findings, **measured, midline_shift=shift)
        case Outcome.NEGATIVE, _:
            return StudyResult.negative(**measured)
        case Outcome.PARTIAL, Presence.PRESENT:
            return StudyResult.partial(
                Reason.INCOMPLETE, findings, **measured, detail=DETAIL, midline_shift=shift
            )
        case Outcome.PARTIAL, _:
            return StudyResult.partial(Reason.BORDERLINE, **measured)
        case Outcome.FAILED, _:
            return StudyResult.failed(Reason.FORMAT)
        case _:
            return StudyResult.not_attempted(Reason.TYPES)


def _mask(subtypes: tuple[Subtype, ...], patient: int) -> Mask:
    """Two blocks of each subtype beside each other, on rows of their own."""
    pixel_mm, step_mm = PIXEL_MM + patient / 4, STEP_MM + patient / 4
    num_slices, turn = NUM_SLICES + patient, (1.0, -1.0)[patient % 2]
    grid = Grid(
        slice_origins_mm=np.array([[-70.0, patient, step_mm * k] for k in range(num_slices)]),
        row_direction=np.array([turn, 0.0, 0.0]),
        column_direction=np.array([0.0, turn, 0.0]),
        pixel_spacing_mm=(pixel_mm, pixel_mm),
        rows=SIZE + patient,
        columns=SIZE + 2 + patient,
    )
    labels = np.zeros(grid.shape, np.uint8)
    for subtype in subtypes:
        top = 4 * int(subtype) - 2
        labels[2 : 5 + patient, top : top + 3, 3:8] = subtype
        labels[2:4, top : top + 2, 12:15] = subtype
    return Mask(labels, grid)


def _series(mask: Mask, installation: Installation) -> Series:
    hu = np.full(mask.grid.shape, AIR_HU, np.float32)
    hu[:, 2:-1, 2:-1] = BRAIN_HU
    hu[mask.labels > 0] = BLOOD_HU
    indices = range(mask.grid.shape[0])
    headers = tuple(_header(mask.grid, index, installation) for index in indices)
    frames = tuple(FrameReference(index, 1) for index in indices)
    return Series(Volume(hu, mask.grid), headers, frames, pixel_digest="specimen", lossy=False)


def _header(grid: Grid, index: int, installation: Installation) -> Dataset:
    """Make the header of an image."""
    header = Dataset()
    for attributes in (_owner(installation.patient), _image(grid, index, installation.patient)):
        for keyword, value in attributes.items():
            if keyword in BARE or not installation.bare:
                setattr(header, keyword, value)
    return header


def _owner(number: int) -> Mapping[str, object]:
    """Patient, study, series and scanner; of two patients, no value is equal."""
    procedure = Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator = f"CTHEAD{number}", "99SITE"
    procedure.CodeMeaning = f"CT head {number}"
    return {
        "ProcedureCodeSequence": [procedure],
        "SpecificCharacterSet": ("ISO_IR 100", "ISO_IR 192")[number % 2],
        "TimezoneOffsetFromUTC": ("+0100", "+0200")[number % 2],
        "PatientName": f"Specimen^{number}",
        "PatientID": f"SPECIMEN-{number}",
        "IssuerOfPatientID": f"ISSUER-{number}",
        "PatientBirthDate": f"1970010{1 + number}",
        "PatientSex": "OF"[number % 2],
        "PatientAge": f"05{number}Y",
        "StudyInstanceUID": f"1.2.3.{number}.1",
        "SeriesInstanceUID": f"1.2.3.{number}.2",
        "FrameOfReferenceUID": f"1.2.3.{number}.3",
        "PositionReferenceIndicator": f"P{number}",
        "StudyDate": f"2020010{1 + number}",
        "StudyTime": f"0{1 + number}0000",
        "StudyID": f"STUDY-{number}",
        "StudyDescription": f"CT head {number}",
        "AccessionNumber": f"ACCESSION-{number}",
        "ReferringPhysicianName": f"Referring^{number}",
        "SeriesNumber": 2 + number,
        "Manufacturer": f"Maker {number}",
        "ManufacturerModelName": f"Scanner {number}",
        "SoftwareVersions": f"V{number}",
        "DeviceSerialNumber": f"S{number}",
    }


def _image(grid: Grid, index: int, number: int) -> Mapping[str, object]:
    return {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": f"1.2.3.{number}.4.{index}",
        "Modality": "CT",
        "InstanceNumber": 1 + index,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": grid.rows,
        "Columns": grid.columns,
        "PixelSpacing": list(grid.pixel_spacing_mm),
        "SliceThickness": STEP_MM + number / 4,
        "ImageOrientationPatient": [*grid.row_direction, *grid.column_direction],
        "ImagePositionPatient": [float(v) for v in grid.slice_origins_mm[index]],
        **([{}, LOSSY][number % 2]),
    }

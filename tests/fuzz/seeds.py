"""What fuzzing starts from: small images of our own phantom, in every encoding that is accepted."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmwrite
from pydicom.datadict import dictionary_VR, tag_for_keyword

from tests.support.ct_series import even_heights, head_series, legacy_converted, stack
from tests.support.transcoding import LOSSLESS, write_as

PATIENT = "Doe^Jane"
PATIENT_ID = "SECRETID"
"""Neither may be seen in an error or in a log."""

NUM_SLICES = 13
"""Of the series of which the first slice is fuzzed; just enough to be chosen."""

KEYWORDS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality",
    "Manufacturer", "StudyDescription", "SeriesDescription", "PatientName", "PatientID",
    "IssuerOfPatientID", "BodyPartExamined", "SliceThickness", "ProtocolName",
    "ContrastBolusAgent", "ContrastBolusAgentSequence", "ConvolutionKernel", "StudyInstanceUID",
    "SeriesInstanceUID", "SeriesNumber", "AcquisitionNumber", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleIntercept", "RescaleSlope", "RescaleType",
    "LossyImageCompression", "BurnedInAnnotation", "FrameType", "StackID",
    "FrameAcquisitionNumber", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "PixelMeasuresSequence", "PlanePositionSequence",
    "PlaneOrientationSequence", "PixelValueTransformationSequence", "FrameAnatomySequence",
    "AnatomicRegionSequence", "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "PixelData",
)  # fmt: skip
"""Attributes that the node looks at."""


def tags() -> Mapping[int, bytes]:
    """Tags of the attributes that the node looks at, with their value representations."""
    found = {}
    for keyword in KEYWORDS:
        tag = tag_for_keyword(keyword)
        assert tag is not None
        found[tag] = dictionary_VR(tag)[:2].encode()
    return found


def images(num_slices: int = NUM_SLICES) -> list[Dataset]:
    """A stack of slices of 32 x 32 pixels, from the feet to the head."""
    grid = stack(even_heights(num_slices, 9.0), size=32, pixel_mm=7.0)
    return head_series(grid, PatientName=PATIENT, PatientID=PATIENT_ID)


def files(folder: Path) -> dict[str, bytes]:
    """One image in every lossless encoding, and a multi-frame one, as files; by their names."""
    image = images()[0]
    written = {
        syntax.keyword: write_as(image, syntax, folder / f"{syntax.keyword}.dcm").read_bytes()
        for syntax in LOSSLESS
    }
    buffer = BytesIO()
    dcmwrite(buffer, legacy_converted(images(3)), enforce_file_format=True)
    return {**written, "LegacyConverted": buffer.getvalue()}


def split(file: bytes) -> tuple[bytes, bytes]:
    """Part a file into what precedes the data set, and the encoded data set (PS3.10 7.1)."""
    start = 132 + 12 + int.from_bytes(file[140:144], "little")
    return file[:start], file[start:]

"""The same pixels in another transfer syntax."""

from copy import deepcopy
from pathlib import Path

import gdcm
import numpy as np
from openjpeg.utils import encode_array
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import compress
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

LOSSLESS = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    RLELossless,
)
_GDCM = {
    JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
}


def write_as(image: Dataset, syntax: UID, file: Path) -> Path:
    """Write an image in Explicit VR Little Endian as a file in another transfer syntax."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if syntax in _GDCM:
        dcmwrite(file, image, enforce_file_format=True)
        _change_by_gdcm(file, _GDCM[syntax])
        return file
    copy = deepcopy(image)
    if syntax == JPEG2000Lossless:
        copy.PixelData = encapsulate([encode_array(_pixels(image), photometric_interpretation=2)])
        copy["PixelData"].is_undefined_length = True
        copy["PixelData"].VR = "OB"
        copy.file_meta.TransferSyntaxUID = syntax
    elif syntax.is_encapsulated:
        compress(copy, syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        copy.PixelData = _pixels(image).byteswap().tobytes()
    copy.file_meta.TransferSyntaxUID = syntax
    dcmwrite(file, copy, enforce_file_format=True)
    assert dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
    return file


def _pixels(image: Dataset) -> np.ndarray[tuple[int, ...], np.dtype[np.integer]]:
    kind = "i" if image.PixelRepresentation else "u"
    values = np.frombuffer(image.PixelData, f"<{kind}{image.BitsAllocated // 8}")
    return values.reshape(image.Rows, image.Columns)


def _change_by_gdcm(file: Path, syntax: int) -> None:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(file))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()

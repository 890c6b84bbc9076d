"""Small objects on their way to a receiver, of a patient whom nobody must name."""

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from node.sending import Parcel

PATIENT = ("SECRET^NAME", "SECRET-ID", "SECRET-ACCESSION")


def written(
    folder: Path,
    number: int,
    kind: str,
    sop_class_uid: UID,
    *,
    syntax: UID = ExplicitVRLittleEndian,
    num_bytes: int = 10,
) -> Parcel:
    """Write an object of a patient with some bytes that no text could hold."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, f"2.25.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.77", "2.25.78"
    ds.PatientName, ds.PatientID, ds.AccessionNumber = PATIENT
    ds.EncapsulatedDocument = bytes(range(256)) + b"\r\n--\r\n" + bytes(num_bytes)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    path = folder / f"{number}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return Parcel(number, kind, str(sop_class_uid), ds.SOPInstanceUID, path)

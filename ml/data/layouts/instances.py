"""DICOM files below a folder, and the few attributes by which a data set is put together."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import UnreadableInputError
from ml.readers.attributes import text_of
from ml.readers.dicom import read_header

_MAGIC_AT, _MAGIC = 128, b"DICM"


@dataclass(frozen=True)
class Instance:
    """A DICOM file.

    Attributes
    ----------
    file
        Where it lies.
    patient
        Patient ID and its issuer; empty if there is none.
    study, series, sop_instance, sop_class
        UIDs.
    content_time
        Content Date and Content Time, comparable as text; empty if there are none.
    """

    file: Path
    patient: str
    study: str
    series: str
    sop_instance: str
    sop_class: str
    content_time: str


def index(files: Iterable[Path]) -> tuple[Sequence[Instance], Mapping[Path, str]]:
    """Read what identifies each DICOM file.

    Parameters
    ----------
    files
        Files; those that are no DICOM files (PS3.10 7.1) are left out.

    Returns
    -------
    tuple
        The instances, and the fault of each DICOM file that cannot be read.
    """
    instances, faults = [], {}
    for file in files:
        try:
            if is_dicom(file):
                instances.append(_instance(file))
        except UnreadableInputError as error:
            faults[file] = str(error)
        except OSError:
            faults[file] = "it cannot be read"
    return instances, faults


def grouped(
    instances: Iterable[Instance], key: Callable[[Instance], str]
) -> Mapping[str, Sequence[Instance]]:
    """Group instances, in the order in which the groups first appear."""
    groups: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        groups[key(instance)].append(instance)
    return groups


def is_dicom(file: Path) -> bool:
    """Tell whether a file has the preamble of a DICOM file."""
    with file.open("rb") as stream:
        return stream.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC


def _instance(file: Path) -> Instance:
    header = read_header(file)
    patient, issuer = text_of(header, "PatientID"), text_of(header, "IssuerOfPatientID")
    return Instance(
        file=file,
        patient=f"{issuer}\\{patient}" if issuer and patient else patient,
        study=text_of(header, "StudyInstanceUID"),
        series=text_of(header, "SeriesInstanceUID"),
        sop_instance=text_of(header, "SOPInstanceUID"),
        sop_class=text_of(header, "SOPClassUID"),
        content_time=text_of(header, "ContentDate") + text_of(header, "ContentTime"),
    )

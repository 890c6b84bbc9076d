"""CT-ICH of PhysioNet (Hssayeni et al. 2020, Data 5(1):14; doi 10.13026/4nae-zg36).

Layout of version 1.3.1, from its README and from the authors' code::

    ct_scans/049.nii … 130.nii       75 scans in Hounsfield units; 059 to 065 do not exist
    masks/049.nii … 130.nii          where it bleeds; the subtype is not drawn
    hemorrhage_diagnosis_raw_ct.csv  PatientNumber, SliceNumber, a column for each subtype,
                                     No_Hemorrhage, Fracture_Yes_No
    Patient_demographics.csv         age and sex; not read

Slice numbers count from 1 along the stored third axis, which is the order that third-party readers
use and the authors do not state; slice labels that fit the mask better in reverse are refused. One
scan is one patient. Masks of 0 and 1 and of 0 and 255 are both accepted.

Versions before 1.3.0 hold JPEG pictures by patient (``Patients_CT/``), which are no Hounsfield
units any more: they are not supported.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.errors import UnreadableInputError, UsageError
from ml.data.layouts.pairs import as_binary, paired
from ml.data.nifti import nifti_files
from ml.data.sources import Content, Layout, Options, SourceStudy, wrong_layout
from ml.data.studies import Truth
from ml.volume import NUM_CLASSES, Subtype

_SLICES = "hemorrhage_diagnosis_raw_ct.csv"
_COLUMNS: Mapping[str, Subtype] = {
    "Intraventricular": Subtype.IVH,
    "Intraparenchymal": Subtype.IPH,
    "Subarachnoid": Subtype.SAH,
    "Epidural": Subtype.EDH,
    "Subdural": Subtype.SDH,
}
_NUMBERS = ("PatientNumber", "SliceNumber", "No_Hemorrhage")

SliceRow = tuple[int, NDArray[np.bool_]]
"""Number of a slice, and its labels, shape (C,)."""


def find(source: Path, options: Options) -> Sequence[SourceStudy]:
    """List the scans of CT-ICH."""
    scans, masks, table = source / "ct_scans", source / "masks", source / _SLICES
    if (source / "Patients_CT").is_dir() and not scans.is_dir():
        raise UsageError(
            f"{source} is CT-ICH with JPEG pictures (before version 1.3.0); only the NIfTI form,"
            " ct_scans/*.nii, is supported"
        )
    if not (scans.is_dir() and masks.is_dir() and table.is_file()):
        raise wrong_layout(source, LAYOUT.name, "ct_scans/*.nii", "masks/*.nii", _SLICES)
    labels = _read_table(table)
    studies = paired(
        source,
        nifti_files(scans),
        nifti_files(masks),
        patient_of=lambda name: name,
        interpret=as_binary,
        options=options,
    )
    return [
        replace(study, read=partial(_with_slices, study, labels.get(study.study.lstrip("0"), [])))
        for study in studies
    ]


LAYOUT = Layout(
    name="ct-ich",
    about="CT-ICH of PhysioNet, version 1.3: binary masks and slice labels",
    name_space="ct-ich",
    find=find,
)


def _with_slices(study: SourceStudy, rows: Sequence[SliceRow]) -> Content:
    content = study.read()
    num_slices = content.volume.grid.shape[0]
    if [number for number, _ in rows] != list(range(1, num_slices + 1)):
        raise UnreadableInputError(
            f"{_SLICES} does not number its {num_slices} slices from 1, each once"
        )
    slices = np.stack([labels for _, labels in rows])
    bleed = content.truth.bleed
    if bleed is not None:
        drawn = bleed.any(axis=(1, 2))
        if (drawn == slices[:, 0]).sum() < (drawn == slices[::-1, 0]).sum():
            raise UnreadableInputError(f"slices of {_SLICES} fit the mask in reverse order only")
    return replace(content, truth=Truth(bleed=bleed, slices=slices))


def _read_table(path: Path) -> Mapping[str, Sequence[SliceRow]]:
    """Read labels of slices, by the patient's number and in the order of the slices."""
    rows: dict[str, list[SliceRow]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {*_COLUMNS, *_NUMBERS} - set(reader.fieldnames or ())
            if missing:
                raise UsageError(f"{_SLICES} has no column {', '.join(sorted(missing))}")
            for row in reader:
                labels = np.zeros(NUM_CLASSES, np.bool_)
                for column, subtype in _COLUMNS.items():
                    labels[subtype] = float(row[column]) > 0
                labels[0] = labels.any() or float(row["No_Hemorrhage"]) == 0
                patient = str(int(float(row["PatientNumber"])))
                rows[patient].append((int(float(row["SliceNumber"])), labels))
    except (OSError, UnicodeError, csv.Error, TypeError, ValueError) as error:
        raise UsageError(f"{_SLICES} cannot be read as a table of slice labels") from error
    return {patient: sorted(found, key=lambda r: r[0]) for patient, found in rows.items()}

"""RSNA 2019, Intracranial Hemorrhage Detection (Flanders et al. 2020, Radiol. AI 2(3):e190211).

Layout of the download of stage 2::

    stage_2_train.csv      ID,Label: ID_<image>_<subtype>,0 or 1; six rows for each image, of which
                           one is ID_<image>_any
    stage_2_train/ID_<image>.dcm

``stage_2_train_images`` is accepted as the folder too. Nobody drew masks: the labels are of slices.
Images of the test set have no labels and are not read.

Images do not say which belong together but in their headers: Series Instance UID makes a volume,
Patient ID a patient. Published headers lack SOP Class UID and Frame of Reference UID, and their
UIDs are no UIDs (``ID_…``); the modality stands for the class here. Some images have several rows
of one meaning in the table; they must agree.
"""

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.errors import IncompleteInputError, UnreadableInputError, UsageError
from ml.data.layouts.instances import Instance, grouped, index
from ml.data.sources import Content, Layout, Options, SourceStudy, subfolder, wrong_layout
from ml.data.studies import Truth
from ml.readers.attributes import number_of, text_of
from ml.readers.dicom import read_series
from ml.volume import NUM_CLASSES, Subtype

_TABLE = "stage_2_train.csv"
_COLUMNS: Mapping[str, int] = {
    "any": 0,
    "epidural": Subtype.EDH,
    "intraparenchymal": Subtype.IPH,
    "intraventricular": Subtype.IVH,
    "subarachnoid": Subtype.SAH,
    "subdural": Subtype.SDH,
}
"""From the last word of an ID to the column of slice labels."""


def find(source: Path, _options: Options) -> Sequence[SourceStudy]:
    """List the series of the training set."""
    table, images = source / _TABLE, subfolder(source, "stage_2_train", "stage_2_train_images")
    if not table.is_file() or images is None:
        raise wrong_layout(source, LAYOUT.name, _TABLE, "stage_2_train/ID_*.dcm")
    labels = _read_table(table)
    instances, faults = index(sorted(images.glob("*.dcm")))
    studies = [
        SourceStudy(
            where=f"{images.name}/{series[0].file.name} and its series",
            patient=series[0].patient,
            study=series[0].series,
            read=partial(_read, series, labels),
        )
        for series in grouped(instances, lambda instance: instance.series).values()
    ]
    for file, fault in faults.items():
        where = f"{images.name}/{file.name}"
        studies.append(SourceStudy(where, file.stem, file.stem, partial(_refuse, fault)))
    return studies


LAYOUT = Layout(
    name="rsna",
    about="RSNA 2019, stage 2 training set: slice labels, no masks",
    name_space="rsna-2019",
    find=find,
)


def _read(instances: Sequence[Instance], labels: Mapping[str, NDArray[np.bool_]]) -> Content:
    if not instances[0].patient or len({instance.patient for instance in instances}) > 1:
        raise UnreadableInputError("its images do not name one patient")
    series = read_series([instance.file for instance in instances], class_may_lack=True)
    name_of = {instance.sop_instance: instance.file.stem for instance in instances}
    found = []
    for header in series.headers:
        name = name_of[text_of(header, "SOPInstanceUID")]
        if name not in labels:
            raise IncompleteInputError(f"{_TABLE} has no labels for {name}")
        found.append(labels[name])
    return Content(
        series.volume,
        Truth(slices=np.stack(found)),
        number_of(series.headers[0], "SliceThickness"),
    )


def _refuse(fault: str) -> Content:
    raise UnreadableInputError(fault)


def _read_table(path: Path) -> Mapping[str, NDArray[np.bool_]]:
    """Read labels, shape (C,), by image."""
    labels: dict[str, NDArray[np.bool_]] = {}
    said: dict[str, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"ID", "Label"} <= set(reader.fieldnames or ()):
                raise UsageError(f"{_TABLE} has no columns ID and Label")
            for row in reader:
                image, _, word = row["ID"].rpartition("_")
                value = int(float(row["Label"]) > 0)
                if said.setdefault(row["ID"], value) != value:
                    raise UsageError(f"{_TABLE} contradicts itself about {row['ID']}")
                of_image = labels.setdefault(image, np.zeros(NUM_CLASSES, np.bool_))
                if value:
                    of_image[[0, _COLUMNS[word]]] = True
    except (OSError, UnicodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{_TABLE} cannot be read as a table of ID and Label") from error
    return labels

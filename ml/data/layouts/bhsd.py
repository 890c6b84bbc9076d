"""BHSD, the Brain Hemorrhage Segmentation Dataset (Wu et al. 2023, MLMI; arXiv 2308.11298).

Layout of the archive ``label_192.zip``, from the code of several of its users::

    label_192/images/ID_<patient>_ID_<study>.nii.gz
    label_192/ground truths/ID_<patient>_ID_<study>.nii.gz

and that of the authors' ``dataset.json`` (github.com/White65534/BHSD), which names its folders as
nnU-Net does: ``imagesTr``, ``labelsTr``. Either is accepted, and ``images`` with ``ground truths``
right below the source. Volumes without a mask (``unlabel_…``, ``imagesTs``) are not read.

**Classes.** ``dataset.json`` says 1 epidural, 2 intraparenchymal, 3 intraventricular,
4 subarachnoid, 5 subdural. This is not our numbering, and not the one that some of its users
write; it is translated by `CLASSES`, and a ``dataset.json`` that says something else is refused.

The volumes were made of RSNA 2019: the first part of a name is its Patient ID there (some of them
share one), so both collections share a name space of patients. Headers of the ground truths show no
shear: scans with a tilted gantry were stored as if their slices advanced along their normal, by
1/cos(tilt) too much (6 % at 19 degrees); volumes in ml are too large by that.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from config.errors import UsageError
from ml.data.layouts.pairs import as_subtypes, paired
from ml.data.nifti import nifti_files
from ml.data.sources import Layout, Options, SourceStudy, subfolder, wrong_layout
from ml.volume import Subtype

CLASSES: Mapping[int, Subtype] = {
    1: Subtype.EDH,
    2: Subtype.IPH,
    3: Subtype.IVH,
    4: Subtype.SAH,
    5: Subtype.SDH,
}
"""From the values of its masks to our subtypes."""

_PUBLISHED = {
    "0": "background",
    "1": "epidural",
    "2": "intraparenchymal",
    "3": "intraventricular",
    "4": "subarachnoid",
    "5": "subdural",
}
_NAME = re.compile(r"(ID_[0-9a-f]+)_ID_[0-9a-f]+")
_CHANNEL = "_0000"
"""nnU-Net's suffix of an image with one channel."""


def find(source: Path, options: Options) -> Sequence[SourceStudy]:
    """List the labelled volumes of BHSD."""
    for folder in (source / "label_192", source):
        images = subfolder(folder, "images", "imagesTr")
        masks = subfolder(folder, "ground truths", "ground_truths", "labelsTr")
        if images is not None and masks is not None:
            break
    else:
        raise wrong_layout(
            source,
            LAYOUT.name,
            "label_192/images and label_192/ground truths",
            "images and ground truths",
            "imagesTr and labelsTr",
        )
    _check_classes(source / "dataset.json")
    return paired(
        source,
        {name.removesuffix(_CHANNEL): path for name, path in nifti_files(images).items()},
        nifti_files(masks),
        patient_of=_patient_of,
        interpret=as_subtypes(CLASSES),
        options=options,
    )


LAYOUT = Layout(
    name="bhsd",
    about="BHSD, label_192: masks with the five subtypes",
    name_space="rsna-2019",
    find=find,
)


def _patient_of(name: str) -> str:
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(
            f"{name} is not named ID_<patient>_ID_<study>, as BHSD names its volumes; without the"
            " patient they cannot be split by patient"
        )
    return match[1]


def _check_classes(path: Path) -> None:
    if not path.is_file():
        return
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} names no labels") from error
    if labels != _PUBLISHED:
        raise UsageError(f"{path} numbers the subtypes in another way than BHSD was published")

"""INSTANCE 2022, the training set of the challenge (Li et al. 2023, arXiv 2301.03281).

Layout, from the code of several participants (the data page needs a registration)::

    train_2/data/001.nii.gz … 100.nii.gz
    train_2/label/001.nii.gz … 100.nii.gz   0, and 1 where it bleeds

``train`` instead of ``train_2``, and ``data`` with ``label`` right below the source, are accepted
too. The challenge does not say whether a patient has several volumes: one volume counts as one
patient. All of them bleed.
"""

from collections.abc import Sequence
from pathlib import Path

from ml.data.layouts.pairs import as_binary, paired
from ml.data.nifti import nifti_files
from ml.data.sources import Layout, Options, SourceStudy, subfolder, wrong_layout


def find(source: Path, options: Options) -> Sequence[SourceStudy]:
    """List the volumes of the training set."""
    for folder in (source / "train_2", source / "train", source):
        images, masks = subfolder(folder, "data"), subfolder(folder, "label")
        if images is not None and masks is not None:
            break
    else:
        raise wrong_layout(source, LAYOUT.name, "train_2/data and train_2/label", "data and label")
    return paired(
        source,
        nifti_files(images),
        nifti_files(masks),
        patient_of=lambda name: name,
        interpret=as_binary,
        options=options,
    )


LAYOUT = Layout(
    name="instance",
    about="INSTANCE 2022, training set: binary masks",
    name_space="instance-2022",
    find=find,
)

"""Plain pairs of NIfTI files, as a site exports them.

Either two folders with equal names (``images`` or ``imagesTr``, ``labels`` or ``labelsTr`` or
``masks``), or one folder with ``<name>_image`` and ``<name>_label`` (or ``_mask``, ``_seg``).

Values of a mask are those of `ml.volume.Subtype` (1 IPH, 2 IVH, 3 EDH, 4 SDH, 5 SAH), unless the
options say that masks are binary or of one subtype.

The patient is what precedes the first ``__`` of a name (``P017__2024-05-01``), or the whole name.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from config.errors import UsageError
from ml.data.layouts.pairs import Interpret, as_binary, as_one_subtype, as_subtypes, paired
from ml.data.masks import OUR_CLASSES
from ml.data.nifti import nifti_files
from ml.data.sources import Layout, Options, SourceStudy, subfolder, wrong_layout

_IMAGE = "_image"
_MASKS = ("_label", "_mask", "_seg")


def find(source: Path, options: Options) -> Sequence[SourceStudy]:
    """List the pairs below a folder."""
    images, masks = _in_folders(source) or _by_suffix(source)
    if not images and not masks:
        raise wrong_layout(
            source, LAYOUT.name, "images/*.nii and labels/*.nii", "*_image.nii and *_label.nii"
        )
    return paired(
        source,
        images,
        masks,
        patient_of=lambda name: name.split("__", maxsplit=1)[0],
        interpret=_interpretation(options),
        options=options,
    )


LAYOUT = Layout(
    name="nifti",
    about="pairs of NIfTI files: images/ and labels/, or *_image and *_label",
    name_space="nifti",
    find=find,
)


def _interpretation(options: Options) -> Interpret:
    if options.binary:
        return as_binary
    return as_subtypes(OUR_CLASSES) if options.subtype is None else as_one_subtype(options.subtype)


def _in_folders(source: Path) -> tuple[Mapping[str, Path], Mapping[str, Path]] | None:
    images = subfolder(source, "images", "imagesTr")
    if images is None:
        return None
    masks = subfolder(source, "labels", "labelsTr", "masks")
    return nifti_files(images), {} if masks is None else nifti_files(masks)


def _by_suffix(source: Path) -> tuple[Mapping[str, Path], Mapping[str, Path]]:
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for name, path in nifti_files(source).items():
        if name.endswith(_IMAGE):
            images[name.removesuffix(_IMAGE)] = path
        for suffix in _MASKS:
            if name.endswith(suffix) and masks.setdefault(name.removesuffix(suffix), path) != path:
                raise UsageError(f"{name.removesuffix(suffix)} has several masks")
    return images, masks

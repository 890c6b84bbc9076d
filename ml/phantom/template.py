"""Anatomy from templates: the average head as distance fields that a phantom bends and resizes.

Two public templates are read where a site has them, and nothing of them is stored in the project:

- *Clinical Toolbox* (Rorden et al. 2012, NeuroImage 61:957, BSD-2): an average head CT of elderly
  people, ``scct.nii`` in Cormack units, and priors of grey matter, white matter and fluid,
  ``scgrey.nii``, ``scwhite.nii``, ``sccsf.nii``, 2 mm, in MNI space;
- *BLAST-CT* (Monteiro et al. 2020, Lancet Digital Health 2:e314, Apache-2.0): a region atlas with
  labels, ``atlas_template_space.nii.gz``, 1 mm.

An average is blurred. So what has an edge is kept as a signed distance, which can be bent and cut
sharply again; what an individual differs in (sulci, sinuses, air cells) is drawn on top of it.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from config.errors import UsageError
from ml.phantom.shapes import Field, Place

# Axes: F field, Z, Y, X of the lattice, in the frame of the head (x left, y front, z top)

SPACING_MM = 2.0
"""Distance between lattice points."""

MNI_TO_HEAD_MM = (0.0, 7.0, -5.0)
"""Where the origin of MNI space (anterior commissure) lies in the frame of the head."""

_LOW_MM, _HIGH_MM = np.array([-104.0, -132.0, -96.0]), np.array([104.0, 118.0, 104.0])
"""Extent of the lattice in the frame of the head, (x, y, z)."""
_FILES = ("scct.nii", "scgrey.nii", "scwhite.nii", "sccsf.nii")
_ATLAS = "atlas_template_space.nii.gz"
_VENTRICLE, _CEREBELLUM_AND_STEM = 31, (1, 2, 7, 21)
_FAR_MM = 40.0
_VERTEX = round((40.0 - _LOW_MM[2]) / SPACING_MM)
"""Index of the lattice from which on up the two hemispheres share one vault."""


@dataclass(frozen=True, eq=False)
class Template:
    """Fields of the average head on one lattice; distances are signed, mm, negative inside.

    Attributes
    ----------
    cavity, skin, ventricles, cisterns
        Distances to the inner table, to the skin, to the ventricles, and to the fluid spaces deep
        in the brain (cisterns, Sylvian and interhemispheric fissures).
    globes
        Distance to the eyeballs.
    grey, fluid
        Share of grey matter in tissue, and prior of fluid, 0 to 1.
    below_tentorium
        Distance to cerebellum and brain stem: its zero surface is the tentorium.
    ct_hu
        The blurred average, HU: what is bone, air or soft tissue around the brain.
    """

    cavity: Field
    skin: Field
    ventricles: Field
    cisterns: Field
    globes: Field
    grey: Field
    fluid: Field
    below_tentorium: Field
    ct_hu: Field

    def at(self, name: str, place: Place) -> Field:
        """Sample a field at positions in the unbent frame of the head."""
        lattice: Field = getattr(self, name)
        index = np.stack(
            [(place[k] - np.float32(_LOW_MM[k])) * np.float32(1 / SPACING_MM) for k in (2, 1, 0)]
        )
        value: Field = ndimage.map_coordinates(
            lattice, index, output=np.float32, order=1, mode="nearest", prefilter=False
        )
        return value


def find_templates() -> Path | None:
    """Folder that the environment variable MIDLINE_TEMPLATES names; None if it names none."""
    named = os.environ.get("MIDLINE_TEMPLATES", "")
    return Path(named) if named else None


def digest_of_templates(folder: Path | None) -> str:
    """SHA-256 over the files that `load_template` reads; empty without a folder."""
    if folder is None:
        return ""
    digest = hashlib.sha256()
    for path in _paths(folder):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=2)
def load_template(folder: Path) -> Template:
    """Read the templates below a folder.

    Parameters
    ----------
    folder
        Holds ``clinical`` and ``blast_atlas`` with the files named above.

    Raises
    ------
    UsageError
        If a file is missing, or if nibabel is not installed.
    """
    try:
        import nibabel  # noqa: PLC0415 - only who brings templates needs it
    except ImportError as error:
        raise UsageError("templates need nibabel: pip install 'midline[train]'") from error
    images = [nibabel.Nifti1Image.from_filename(path) for path in _paths(folder)]
    values = [
        _on_lattice(np.asarray(image.get_fdata(), np.float32), image.affine, nearest=nearest)
        for image, nearest in zip(images, (False, False, False, False, True), strict=True)
    ]
    return _fields(*values)


def _paths(folder: Path) -> list[Path]:
    paths = [folder / "clinical" / name for name in _FILES] + [folder / "blast_atlas" / _ATLAS]
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{folder} holds no templates: {path.relative_to(folder)} is missing")
    return paths


def _on_lattice(values: Field, affine: NDArray[np.float64], *, nearest: bool) -> Field:
    """Resample a NIfTI array (RAS, MNI) on the lattice, shape (Z, Y, X)."""
    axes = [
        np.arange(low, high + 1e-6, SPACING_MM) - shift
        for low, high, shift in zip(_LOW_MM, _HIGH_MM, MNI_TO_HEAD_MM, strict=True)
    ]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    # the head's x points to the left, that of MNI to the right
    ras = np.stack([-x, y, z, np.ones_like(x)])
    index = np.tensordot(np.linalg.inv(affine)[:3], ras, axes=1)
    if nearest:
        labels: Field = ndimage.map_coordinates(
            values, index, output=np.float32, order=0, mode="constant"
        )
        return labels
    # slices beyond the template's end repeat its last one
    shares: Field = ndimage.map_coordinates(
        values, index, output=np.float32, order=1, mode="nearest"
    )
    return shares


def _fields(cormack: Field, grey: Field, white: Field, fluid: Field, labels: Field) -> Template:
    ct_hu = hu_of_cormack(cormack)
    brain = grey + white + fluid > 0.5
    # the priors leave out dura and sinus between the hemispheres at the vertex
    brain = _largest(brain)
    across = ndimage.binary_closing(brain, structure=np.ones((1, 1, 15), bool))
    brain[_VERTEX:] |= across[_VERTEX:]
    brain = ndimage.binary_fill_holes(brain)
    globes = (fluid > 0.3) & ~brain & _in_front(fluid.shape)
    head = ndimage.binary_fill_holes(_largest(ct_hu > -450))
    ventricles = labels == _VENTRICLE
    deep = _distance(brain) < -7
    cisterns = (fluid > 0.42) & deep & (_distance(ventricles) > 2.5)
    below = np.isin(labels.astype(np.int16), _CEREBELLUM_AND_STEM)
    return Template(
        cavity=_distance(brain),
        skin=_distance(head),
        ventricles=_distance(ventricles),
        cisterns=_distance(cisterns),
        globes=_distance(globes),
        grey=grey / (grey + white + np.float32(1e-3)),
        fluid=fluid,
        below_tentorium=_distance(below),
        ct_hu=ct_hu,
    )


def hu_of_cormack(cormack: Field) -> Field:
    """Turn Cormack units into HU: the range of soft tissue, -100 to 100 HU, is spread by 11."""
    soft = (cormack - 900) / 11 - 100
    return np.where(cormack < 900, cormack - 1000, np.where(cormack < 3100, soft, cormack - 3000))


def _in_front(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where eyes can be: in front, below the frontal lobes."""
    y = _LOW_MM[1] + SPACING_MM * np.arange(shape[1])
    z = _LOW_MM[2] + SPACING_MM * np.arange(shape[0])
    front: NDArray[np.bool_] = (y > 40)[None, :, None] & (z < -27)[:, None, None]
    return np.broadcast_to(front, shape)


def _largest(found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, _ = ndimage.label(found)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax())


def _distance(found: NDArray[np.bool_]) -> Field:
    """Signed distance to the surface of what was found, mm, negative inside, smooth."""
    outside = ndimage.distance_transform_edt(~found)
    inside = ndimage.distance_transform_edt(found)
    signed = (outside - inside + np.where(found, 0.5, -0.5)) * SPACING_MM
    smooth: Field = ndimage.gaussian_filter(signed.astype(np.float32), 0.6)
    return np.clip(smooth, -2 * _FAR_MM, _FAR_MM)

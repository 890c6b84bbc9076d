"""Anatomy from templates; the template here is a ball of brain in a ball of bone, as NIfTI."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import UsageError
from ml.phantom import Scan, Template, digest_of_templates, load_template, make_phantom
from ml.phantom.bending import BentTemplate, bend
from ml.phantom.template import MNI_TO_HEAD_MM, find_templates, hu_of_cormack
from ml.phantom.texture import sample_texture
from ml.volume import Subtype

BRAIN_MM, SKIN_MM, VENTRICLE_MM = 66.0, 84.0, 12.0
AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
SHAPE = (91, 109, 91)
LEFT_SPOT_MM = (-40.0, 0.0, 0.0)
"""A second ventricle on the patient's left, which is -x in MNI space."""


def position_mm() -> NDArray[np.float64]:
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    position: NDArray[np.float64] = index @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    return position


def write(path: Path, values: NDArray[np.floating]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(values.astype(np.float32), AFFINE).to_filename(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("templates")
    position = position_mm()
    away = np.linalg.norm(position, axis=-1)
    brain = away < BRAIN_MM
    ventricle = (away < VENTRICLE_MM) | (
        np.linalg.norm(position - np.array(LEFT_SPOT_MM), axis=-1) < VENTRICLE_MM
    )
    skull = (away >= BRAIN_MM) & (away < SKIN_MM)
    cormack = np.where(brain, 900 + 11 * 130, np.where(skull, 3000 + 700, 0))
    write(root / "clinical" / "scct.nii", cormack)
    write(root / "clinical" / "scgrey.nii", brain & (away > BRAIN_MM - 6))
    write(root / "clinical" / "scwhite.nii", brain & (away <= BRAIN_MM - 6) & ~ventricle)
    write(root / "clinical" / "sccsf.nii", ventricle)
    write(root / "blast_atlas" / "atlas_template_space.nii.gz", np.where(ventricle, 31, 0))
    return root


@pytest.fixture(scope="module")
def template(folder: Path) -> Template:
    return load_template(folder)


def straight(template: Template, *, scale: float = 1.0) -> BentTemplate:
    flat = sample_texture(np.random.default_rng(0), blob_mm=19, symmetry=0.5, period_mm=240)
    return BentTemplate(template, (scale, scale, scale), 0.0, 0.0, 0.0, (flat, flat, flat))


def at(template: Template, name: str, *place: float) -> float:
    x, y, z = (np.array([v], np.float32) for v in place)
    return float(template.at(name, (x, y, z))[0])


def test_distances_are_signed_and_in_mm(template: Template) -> None:
    x, y, z = MNI_TO_HEAD_MM
    assert at(template, "cavity", x, y, z) < -30
    assert at(template, "cavity", x, y, z + BRAIN_MM) == pytest.approx(0, abs=2.5)
    assert at(template, "cavity", x, y, z + BRAIN_MM + 10) == pytest.approx(10, abs=2.5)
    assert at(template, "skin", x + SKIN_MM, y, z) == pytest.approx(0, abs=2.5)
    assert at(template, "ventricles", x, y + VENTRICLE_MM, z) == pytest.approx(0, abs=2.5)
    assert at(template, "grey", x, y, z + BRAIN_MM - 3) > 0.9
    assert at(template, "grey", x, y, z + 30) < 0.1


def test_the_left_of_the_template_is_the_left_of_the_head(template: Template) -> None:
    x, y, z = MNI_TO_HEAD_MM
    assert at(template, "ventricles", x + 40, y, z) < -5
    assert at(template, "ventricles", x - 40, y, z) > 5


def test_cormack_units_become_hounsfield_units() -> None:
    hu = hu_of_cormack(np.array([0.0, 900.0, 2000.0, 3100.0, 3700.0]))
    np.testing.assert_allclose(hu, [-1000, -100, 0, 100, 700])


def test_a_larger_head_reaches_farther(template: Template) -> None:
    up = (0.0, 0.0, 1.0)
    small, large = straight(template), straight(template, scale=1.1)
    assert small.reach_mm(up) == pytest.approx(BRAIN_MM + MNI_TO_HEAD_MM[2], abs=2)
    assert large.reach_mm(up) == pytest.approx(1.1 * small.reach_mm(up), abs=1.1)


def test_individuals_differ_by_a_few_mm(template: Template) -> None:
    rng = np.random.default_rng(3)
    reached = [bend(rng, template).reach_mm((1.0, 0.0, 0.0)) for _ in range(6)]
    assert len(set(reached)) > 3
    assert all(BRAIN_MM - 18 < each < BRAIN_MM + 18 for each in reached)


def test_a_phantom_from_a_template_has_its_anatomy_and_its_bleed(template: Template) -> None:
    scan = Scan(num_slices=20, slice_step_mm=8, matrix=64, pose_spread=0, head_holder=False)
    phantom, again = (
        make_phantom(4, (Subtype.IPH,), scan=scan, template=template) for _ in range(2)
    )
    np.testing.assert_array_equal(phantom.volume.hu, again.volume.hu)
    assert phantom.mask.volume_ml(Subtype.IPH) >= 1
    voxel_ml = phantom.volume.grid.voxel_ml[:, None, None]
    brain_ml = float((((phantom.volume.hu > 0) & (phantom.volume.hu < 90)) * voxel_ml).sum())
    ball_ml = 4 / 3 * np.pi * BRAIN_MM**3 / 1000
    assert 0.7 * ball_ml < brain_ml < 1.6 * ball_ml
    drawn = make_phantom(4, (Subtype.IPH,), scan=scan)
    assert not np.array_equal(drawn.volume.hu, phantom.volume.hu)


def test_a_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "clinical").symlink_to(folder / "clinical")
    with pytest.raises(UsageError, match=r"blast_atlas/atlas_template_space\.nii\.gz is missing"):
        load_template(tmp_path)


def test_the_digest_tells_templates_apart(folder: Path, tmp_path: Path) -> None:
    assert digest_of_templates(None) == ""
    first = digest_of_templates(folder)
    for part in ("clinical", "blast_atlas"):
        (tmp_path / part).mkdir()
        for file in (folder / part).iterdir():
            (tmp_path / part / file.name).write_bytes(file.read_bytes())
    assert digest_of_templates(tmp_path) == first
    write(tmp_path / "clinical" / "sccsf.nii", np.zeros(SHAPE))
    assert digest_of_templates(tmp_path) != first


def test_templates_are_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIDLINE_TEMPLATES", raising=False)
    assert find_templates() is None
    monkeypatch.setenv("MIDLINE_TEMPLATES", "somewhere")
    assert find_templates() == Path("somewhere")

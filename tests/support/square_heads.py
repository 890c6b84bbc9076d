"""A data set of tiny heads whose blood is a bright square: easy to learn, and quick to make."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ml.data.manifest import STUDIES, Manifest, digest_of, entry_of, write_manifest
from ml.data.splits import Shares, Split
from ml.data.studies import Study, Truth, write_study
from ml.volume import NUM_CLASSES, Grid, Mask, Subtype, Volume

SIZE, PIXEL_MM, NUM_SLICES = 64, 3.2, 8

Plan = Sequence[tuple[Split, Subtype | None, str]]
"""For each study its split, what bleeds, and what is known: see `known_of`."""


def square_head(seed: int, subtype: Subtype | None) -> tuple[Volume, Mask]:
    """Make an oval head; with a subtype, four of its slices show a square of blood."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    skull = (rows / 29) ** 2 + (columns / 23) ** 2
    hu = np.where(skull < 1, np.where(skull < 0.8, 30.0, 900.0), -1000.0)
    hu = np.repeat(hu[None], NUM_SLICES, axis=0)
    hu += rng.normal(0, 3, hu.shape)
    labels = np.zeros(hu.shape, np.uint8)
    if subtype is not None:
        row, column = rng.integers(18, 34, 2)
        blood = (slice(2, 6), slice(row, row + 12), slice(column, column + 12))
        hu[blood] += 35
        labels[blood] = subtype
    origins_mm = np.full((NUM_SLICES, 3), -(SIZE - 1) / 2 * PIXEL_MM)
    origins_mm[:, 2] = np.arange(NUM_SLICES) * 5.0
    grid = Grid(
        slice_origins_mm=origins_mm,
        row_direction=np.array([1.0, 0.0, 0.0]),
        column_direction=np.array([0.0, 1.0, 0.0]),
        pixel_spacing_mm=(PIXEL_MM, PIXEL_MM),
        rows=SIZE,
        columns=SIZE,
    )
    return Volume(hu.astype(np.float32), grid), Mask(labels, grid)


def known_of(mask: Mask, known: str) -> Truth:
    """Tell of a mask its subtypes, its voxels, the labels of its slices, or nothing."""
    slices = np.zeros((NUM_SLICES, NUM_CLASSES), np.bool_)
    for subtype in Subtype:
        slices[:, subtype] = (mask.labels == subtype).any(axis=(1, 2))
    slices[:, 0] = slices.any(axis=1)
    return {
        "subtypes": Truth(mask=mask),
        "voxels": Truth(bleed=mask.labels > 0),
        "slices": Truth(slices=slices),
        "nothing": Truth(),
    }[known]


def write_square_heads(folder: Path, plan: Plan) -> Manifest:
    """Write a data set."""
    (folder / STUDIES).mkdir(parents=True)
    entries = []
    for number, (split, subtype, known) in enumerate(plan):
        volume, mask = square_head(number, subtype)
        study = Study(
            f"head{number:02d}", f"patient{number:02d}", volume, known_of(mask, known), 5.0
        )
        path = folder / STUDIES / f"{study.study_id}.npz"
        write_study(path, study)
        entries.append(entry_of(study, path, split))
    manifest = Manifest(
        layout="squares",
        created=datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        code_version="test",
        split_seed=0,
        shares=Shares(),
        options={},
        studies=tuple(entries),
        skipped=(),
        digest=digest_of(entries),
    )
    write_manifest(folder, manifest)
    return manifest

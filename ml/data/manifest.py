"""The manifest of a data set: who is in it, for what, and the digest of every file.

A data set is a folder with ``manifest.json`` and ``studies/<study_id>.npz``. The digest of the
manifest stands for the whole set: it goes into the card of every model that saw it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from config.errors import UnreadableInputError, UsageError
from ml.data.splits import Shares, Split
from ml.data.studies import LabelKind, Study, read_study
from ml.volume import Subtype

MANIFEST = "manifest.json"
STUDIES = "studies"
FORMAT = "midline-dataset-1"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Entry:
    """A study of a data set, without its voxels.

    Attributes
    ----------
    study_id, patient_id
        Hashes (`ml.data.identity`), or the names of phantoms.
    split
        Of the patient, and thus of the study.
    file
        Path within the data set.
    sha256
        Of the file, hexadecimal.
    labels
        The most that is known about it.
    has_slice_labels
        Whether slices are labelled, with a mask or without.
    bleeds
        Whether it shows haemorrhage; None if nobody said.
    subtypes
        Names of the subtypes that its mask or its slice labels name.
    num_slices
        Of the volume.
    slice_thickness_mm
        Nominal; where the source does not say it, the median step.
    slice_step_mm
        Median extent of a slice along the normal of the slices.
    """

    study_id: str
    patient_id: str
    split: Split
    file: str
    sha256: str
    labels: LabelKind
    has_slice_labels: bool
    bleeds: bool | None
    subtypes: tuple[str, ...]
    num_slices: int
    slice_thickness_mm: float
    slice_step_mm: float

    @property
    def has_mask(self) -> bool:
        """Whether voxels are labelled, with subtypes or without."""
        return self.labels in (LabelKind.SUBTYPES, LabelKind.BINARY)


@dataclass(frozen=True)
class Skipped:
    """A study of the source that was left out, and why."""

    study_id: str
    fault: str


@dataclass(frozen=True)
class Manifest:
    """What a data set holds, and how it came about.

    Attributes
    ----------
    layout
        Of the source; ``phantoms`` if it was made.
    created
        When, ISO 8601.
    code_version
        Version of Midline that made it.
    split_seed, shares
        How patients were divided.
    options
        With what choices the source was read.
    studies
        In the order of their names.
    skipped
        Studies of the source that were left out.
    digest
        SHA-256, hexadecimal, of the entries: their names, splits, labels and the digests of their
        files. The date is not in it.
    """

    layout: str
    created: str
    code_version: str
    split_seed: int
    shares: Shares
    options: dict[str, str | int | float | bool]
    studies: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]
    digest: str
    format: str = FORMAT

    def of(self, split: Split) -> tuple[Entry, ...]:
        """Entries of a split."""
        return tuple(entry for entry in self.studies if entry.split == split)


def entry_of(study: Study, file: Path, split: Split) -> Entry:
    """Describe a study that was written.

    Parameters
    ----------
    study
        What was written.
    file
        Where; in the folder `STUDIES`.
    split
        Of its patient.
    """
    truth, grid = study.truth, study.volume.grid
    steps_mm = sorted(grid.slice_steps_mm.tolist())
    step_mm = round(steps_mm[len(steps_mm) // 2], 4)
    return Entry(
        study_id=study.study_id,
        patient_id=study.patient_id,
        split=split,
        file=f"{STUDIES}/{file.name}",
        sha256=file_sha256(file),
        labels=truth.kind,
        has_slice_labels=truth.slices is not None,
        bleeds=truth.bleeds,
        subtypes=tuple(subtype.name for subtype in truth.subtypes),
        num_slices=grid.shape[0],
        slice_thickness_mm=round(study.slice_thickness_mm or step_mm, 4),
        slice_step_mm=step_mm,
    )


def digest_of(entries: Sequence[Entry]) -> str:
    """SHA-256, hexadecimal, of entries."""
    plain = json.dumps([asdict(entry) for entry in entries], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a data set; it appears whole or not at all."""
    partial = folder / f"{MANIFEST}.part"
    partial.write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a data set and check that it agrees with itself; files are not read.

    Raises
    ------
    UsageError
        If the folder holds none.
    UnreadableInputError
        If it is not of this form, was changed, or has a patient in two splits.
    """
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{folder} holds no {MANIFEST} that can be read; `midline data prepare` makes one"
        ) from error
    try:
        manifest = TypeAdapter(Manifest).validate_json(text)
    except ValidationError as error:
        raise UnreadableInputError(f"{path} is no manifest of a data set") from error
    fault = _fault(manifest) or _contradiction(manifest.studies)
    if fault:
        raise UnreadableInputError(f"{path}: {fault}")
    return manifest


def verify(
    folder: Path, manifest: Manifest, *, step: Callable[[], object] = lambda: None
) -> tuple[str, ...]:
    """Compare the files of a data set with the digests in its manifest.

    Parameters
    ----------
    folder, manifest
        The data set.
    step
        Called after each file.

    Returns
    -------
    tuple of str
        What is wrong; empty if nothing.
    """
    faults = []
    for entry in manifest.studies:
        path = folder / entry.file
        if not path.is_file():
            faults.append(f"{entry.file} is missing")
        elif file_sha256(path) != entry.sha256:
            faults.append(f"{entry.file} was changed")
        step()
    known = {entry.file for entry in manifest.studies}
    found = (f"{STUDIES}/{path.name}" for path in (folder / STUDIES).glob("*"))
    faults += [f"{name} is not in the manifest" for name in sorted(found) if name not in known]
    return tuple(faults)


def studies_of(folder: Path, manifest: Manifest, split: Split | None = None) -> Iterator[Study]:
    """Read the studies of a split one after the other, or all of them.

    Raises
    ------
    UnreadableInputError
        If a file is missing or damaged; `verify` finds what was changed.
    """
    for entry in manifest.studies:
        if split in (None, entry.split):
            yield read_study(folder / entry.file)


def _fault(manifest: Manifest) -> str:
    if manifest.format != FORMAT:
        return f"the format is not {FORMAT}"
    if digest_of(manifest.studies) != manifest.digest:
        return "the entries were changed after it was written"
    for entry in manifest.studies:
        if not _NAME.fullmatch(entry.study_id) or entry.file != f"{STUDIES}/{entry.study_id}.npz":
            return "a file is not named after its study"
        if not set(entry.subtypes) <= {subtype.name for subtype in Subtype}:
            return "a subtype is unknown"
    return ""


def _contradiction(entries: Sequence[Entry]) -> str:
    splits: dict[str, Split] = {}
    for entry in entries:
        if splits.setdefault(entry.patient_id, entry.split) != entry.split:
            return "a patient is in two splits"
    if len({entry.study_id for entry in entries}) < len(entries):
        return "a study is there twice"
    return ""

"""From a source in a published layout to a data set on the disk, whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from config.errors import InputError, UsageError
from ml.data.identity import Pseudonyms
from ml.data.manifest import (
    STUDIES,
    Entry,
    Manifest,
    Skipped,
    digest_of,
    entry_of,
    write_manifest,
)
from ml.data.sources import Layout, Options, SourceStudy
from ml.data.splits import Shares, Split, assign
from ml.data.studies import Study, write_study

Step = Callable[[], object]


@dataclass(frozen=True)
class Making:
    """How a data set is made, wherever its studies come from.

    Attributes
    ----------
    now, code_version
        When, and by which version of Midline.
    shares, split_seed
        How patients are divided.
    """

    now: datetime
    code_version: str
    shares: Shares = field(default_factory=Shares)
    split_seed: int = 0


def find_studies(source: Path, layout: Layout, options: Options) -> Sequence[SourceStudy]:
    """List the studies of a source.

    Raises
    ------
    UsageError
        If there is no such folder, if it has another layout, or if there is nothing in it.
    """
    if not source.is_dir():
        raise UsageError(f"{source} is no folder")
    found = layout.find(source, options)
    if not found:
        raise UsageError(f"{source} has the layout {layout.name}, but no studies")
    return found


def prepare(
    found: Sequence[SourceStudy],
    out: Path,
    *,
    layout: Layout,
    options: Options,
    making: Making,
    key: bytes = b"",
    skip_faulty: bool = False,
    step: Step = lambda: None,
) -> Manifest:
    """Read studies, and write them as a data set.

    Parameters
    ----------
    found
        From `find_studies`, with the same layout and options.
    out
        Folder of the data set; it must not exist yet. It appears when everything is written.
    making
        When and by what it is made, and how patients are divided.
    key
        Secret for the hashes of patients and studies; empty for plain hashes.
    skip_faulty
        Whether faulty studies are left out; the manifest then says so.
    step
        Called after each study.

    Raises
    ------
    UsageError
        If the folder exists or cannot be written, or if nothing is left to be written.
    InputError
        If studies are faulty and are not to be skipped; it names all of them.
    """
    pseudonyms = Pseudonyms(layout.name_space, key)
    entries, skipped, faults = [], [], []
    with new_folder(out) as folder:
        for source in found:
            study_id = pseudonyms.of_study(source.patient, source.study)
            try:
                study = _study(source, study_id, pseudonyms.of_patient(source.patient))
            except InputError as error:
                faults.append(f"{source.where}: {error}")
                skipped.append(Skipped(study_id, str(error)))
            else:
                # once something is faulty nothing will be kept, but all faults are to be known
                if skip_faulty or not faults:
                    entries.append(_written(folder, study))
            step()
        if faults and not skip_faulty:
            raise InputError(
                f"{len(faults)} of {len(found)} studies are faulty, and nothing was written"
                f" (--skip-faulty leaves them out): {'; '.join(faults)}"
            )
        manifest = finished(
            entries, skipped, layout=layout.name, options=options.plain(), making=making
        )
        write_manifest(folder, manifest)
    return manifest


def finished(
    entries: Sequence[Entry],
    skipped: Sequence[Skipped],
    *,
    layout: str,
    options: dict[str, str | int | float | bool],
    making: Making,
) -> Manifest:
    """Divide the patients of entries among the splits, and make the manifest.

    Raises
    ------
    UsageError
        If there are no entries, or two of one study.
    """
    if not entries:
        raise UsageError("no study is left to be written")
    if len({entry.study_id for entry in entries}) < len(entries):
        raise UsageError("the source holds a study twice")
    patients: dict[str, bool | None] = {}
    for entry in entries:
        # a patient bleeds who bleeds in any study, and is unknown only if all studies are
        known = [b for b in (patients.get(entry.patient_id), entry.bleeds) if b is not None]
        patients[entry.patient_id] = any(known) if known else None
    splits = assign(patients, making.shares, seed=making.split_seed)
    studies = tuple(
        replace(entry, split=splits[entry.patient_id])
        for entry in sorted(entries, key=lambda entry: entry.study_id)
    )
    return Manifest(
        layout=layout,
        created=making.now.isoformat(),
        code_version=making.code_version,
        split_seed=making.split_seed,
        shares=making.shares,
        options=options,
        studies=studies,
        skipped=tuple(sorted(skipped, key=lambda study: study.study_id)),
        digest=digest_of(studies),
    )


def _study(source: SourceStudy, study_id: str, patient_id: str) -> Study:
    content = source.read()
    return Study(
        study_id=study_id,
        patient_id=patient_id,
        volume=content.volume,
        truth=content.truth,
        slice_thickness_mm=content.slice_thickness_mm,
    )


def _written(folder: Path, study: Study) -> Entry:
    path = folder / STUDIES / f"{study.study_id}.npz"
    if path.exists():
        raise UsageError("the source holds a study twice")
    write_study(path, study)
    return entry_of(study, path, Split.TRAIN)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` that becomes `out` at the end, or vanishes."""
    if out.exists():
        raise UsageError(f"{out} exists already; choose another folder")
    work = out.parent / f".{out.name}.{os.getpid()}.part"
    try:
        (work / STUDIES).mkdir(parents=True)
        yield work
        work.rename(out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)

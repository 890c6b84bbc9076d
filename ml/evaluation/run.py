"""Through a data set with a model: one line in a journal for each study that is finished.

A study in the journal is not computed again, unless weights, least volumes, precision, data set or
the version of Midline are others. A line that was not written to its end does not count.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from config.errors import QualityError, UsageError
from ml.evaluation.calibration import Reliability, add_up, voxel_reliability
from ml.evaluation.cases import CaseResult, assess
from ml.evaluation.voxels import sample_voxels
from ml.inference import Segmenter
from ml.quality import check_head
from ml.volume import Mask, Subtype, Volume

JOURNAL = "results.jsonl"
"""Usual name of a journal."""


@dataclass(frozen=True, eq=False)
class StudyWithTruth:
    """A study that is read when its turn comes.

    Attributes
    ----------
    study_id, patient_id
        Names that tell nobody who the patient is.
    read
        Gives volume and true mask, on the same grid.
    knows_subtypes
        False if every label of the mask only means haemorrhage.
    """

    study_id: str
    patient_id: str
    read: Callable[[], tuple[Volume, Mask]]
    knows_subtypes: bool = True


@dataclass(frozen=True)
class Entry:
    """A line of the journal.

    Attributes
    ----------
    key
        Digest of all that decides the result, beside the study.
    study_id
        Of the study.
    result
        What was measured; None if the node would not have analysed it.
    declined
        Why not.
    voxels
        Calibration of its voxels, where they were sampled.
    """

    key: str
    study_id: str
    result: CaseResult | None
    declined: str = ""
    voxels: Reliability | None = None


@dataclass(frozen=True)
class Evaluation:
    """All studies, in the order of the data set.

    Attributes
    ----------
    results
        Of the studies that were analysed.
    declined
        For the others, why the node would not have analysed them, by study.
    voxels
        Calibration of the voxels of all studies of which they were sampled; None if of none.
    """

    results: tuple[CaseResult, ...]
    declined: dict[str, str]
    voxels: Reliability | None


class Journal:
    """Finished studies on disk, for one model on one data set."""

    def __init__(self, path: Path, key: str) -> None:
        """Read what is finished; the folder is made if it is missing.

        Raises
        ------
        UsageError
            If the file cannot be read or is no journal.
        """
        self._path, self._key = path, key
        self.entries: dict[str, Entry] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                path.write_bytes(whole)
        except OSError as error:
            raise UsageError(f"{path} cannot be used ({error.strerror})") from error
        reader = TypeAdapter(Entry)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = reader.validate_json(line)
            except ValidationError as error:
                raise UsageError(
                    f"{path}: line {number} is no result of an evaluation; name another folder"
                ) from error
            if entry.key == key:
                self.entries[entry.study_id] = entry

    def append(self, entry: Entry) -> None:
        """Add a finished study.

        Raises
        ------
        UsageError
            If the file cannot be written.
        """
        try:
            with self._path.open("a", encoding="ascii") as file:
                file.write(json.dumps(asdict(entry)) + "\n")
        except OSError as error:
            raise UsageError(f"{self._path} cannot be written ({error.strerror})") from error
        self.entries[entry.study_id] = entry


def evaluate(
    studies: Sequence[StudyWithTruth],
    segmenter: Segmenter,
    journal: Path,
    *,
    data_digest: str,
    num_with_voxels: int = 0,
    seed: int = 0,
    done: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation:
    """Measure a model on studies whose truth is known.

    Parameters
    ----------
    studies
        Each is read when its turn comes, and not at all if the journal has it.
    segmenter
        The model, as the node has it; lesions are dropped by the least volumes of its card.
    journal
        File to which each finished study is added.
    data_digest
        Changes whenever the data set does.
    num_with_voxels
        Of so many studies, the first ones, voxels are sampled for calibration; each takes a second
        pass through the network.
    seed
        Of the choice of voxels.
    done
        Called after each study.
    clock
        Seconds from any start.

    Raises
    ------
    UsageError
        If the journal cannot be used.
    ValueError
        If the card does not name the weights: another model could not be told apart.
    ResourceError
        If memory ran out.
    """
    key = evaluation_key(segmenter, data_digest)
    kept = Journal(journal, key)
    for number, study in enumerate(studies):
        with_voxels = number < num_with_voxels and study.knows_subtypes
        if not _is_finished(kept.entries.get(study.study_id), with_voxels=with_voxels):
            result, declined, voxels = _measure(
                study, segmenter, voxel_seed=seed if with_voxels else None, clock=clock
            )
            kept.append(Entry(key, study.study_id, result, declined, voxels))
        done()
    entries = [kept.entries[study.study_id] for study in studies]
    sampled = [entry.voxels for entry in entries if entry.voxels is not None]
    return Evaluation(
        results=tuple(entry.result for entry in entries if entry.result is not None),
        declined={entry.study_id: entry.declined for entry in entries if entry.declined},
        voxels=add_up(sampled) if sampled else None,
    )


def _is_finished(entry: Entry | None, *, with_voxels: bool) -> bool:
    if entry is None:
        return False
    return bool(entry.declined) or entry.voxels is not None or not with_voxels


def _measure(
    study: StudyWithTruth,
    segmenter: Segmenter,
    *,
    voxel_seed: int | None,
    clock: Callable[[], float],
) -> tuple[CaseResult | None, str, Reliability | None]:
    """Analyse one study as the node does; a result, or why there is none, and its voxels."""
    volume, truth = study.read()
    try:
        check_head(volume)
    except QualityError as error:
        return None, str(error), None
    started = clock()
    prediction = segmenter.segment(volume)
    thresholds = segmenter.card.thresholds
    result = assess(
        prediction,
        truth,
        study_id=study.study_id,
        patient_id=study.patient_id,
        minimum_ml={subtype: thresholds.minimum_of(subtype) for subtype in Subtype},
        seconds=round(clock() - started, 3),
        knows_subtypes=study.knows_subtypes,
    )
    if voxel_seed is None:
        return result, "", None
    sample = sample_voxels(segmenter, volume, truth, prediction.alignment, seed=voxel_seed)
    return result, "", voxel_reliability(sample, segmenter.card.temperature)


def evaluation_key(segmenter: Segmenter, data_digest: str) -> str:
    """Digest of all that decides what is measured on a study.

    Raises
    ------
    ValueError
        If the card does not name the weights.
    """
    if not segmenter.card.weights_sha256:
        raise ValueError("the card does not hold the digest of the weights")
    # what a study is measured to be does not depend on the scores at which it is decided
    undecided = replace(segmenter.card.thresholds, lower_score=0.0, upper_score=1.0)
    card = replace(segmenter.card, thresholds=undecided)
    parts = (card.device_uid_seed, segmenter.precision, data_digest, code_version())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def code_version() -> str:
    """Version of Midline that runs."""
    try:
        return version("midline")
    except PackageNotFoundError:
        return "unreleased"

"""The workers' steps: the pipeline's stages bound to a job.

Between two steps only JSON and paths are kept. Every step may run twice: files have the name of
their content, UIDs follow from the input, and what is recorded is recorded once. Nothing but JSON
leaves a step, also when it fails: an exception's text could quote patient data, and the queue would
keep it.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from config.errors import AnalysisError, IncompleteInputError, InputError, MidlineError, Reason
from config.log import log_scope
from config.settings import Settings
from ml.inference import Segmenter
from node import encoding, pipeline, scratch, workplace
from node.commitment.answers import Answers
from node.commitment.granting import Grantor
from node.delivery import Courier
from node.engine import INTERRUPTIONS, Json
from node.guard import Guard
from node.notifying import Notifier
from node.peers import Caller
from node.retention import num_missing
from node.selection import describe_selection, select_series
from node.stages import Stage, Stages, stages_of
from node.workplace import Workplace
from storage.records import StudyRecord, StudyState

logger = logging.getLogger(__name__)

DETAILS: Mapping[Reason, str] = {
    Reason.EQUIPMENT: "A fault of the node.",
    Reason.RESOURCE: "The node ran out of memory.",
    Reason.UNSPECIFIED: "The analysis was cancelled by an operator.",
}
"""What is told to the reader of a report when the fault is the node's own."""


class Analyst:
    """The steps of an analyser: segment, encode, record."""

    def __init__(self, place: Workplace, segmenter: Segmenter) -> None:
        self._place, self._segmenter = place, segmenter
        self._guard = Guard(place.database, place.files, place.audit)

    def segment(self, job_id: int) -> Json:
        """Read the best series of a study and segment it."""
        stages = Stages()
        with log_scope(job=job_id):
            try:
                return self._segment(job_id, stages)
            except INTERRUPTIONS:
                raise
            except Exception as error:  # noqa: BLE001 - a study must not end without a report
                return {**_failure(error), "stages": stages.as_json()}

    def _segment(self, job_id: int, stages: Stages) -> Json:
        place = self._place
        job, study = place.job(job_id)
        with place.database.begin() as transaction:
            started = transaction.jobs.start(job_id, place.executor_id, now=datetime.now(UTC))
            held = transaction.studies.get(study.id)
        if started is None:
            return {"ended": True}
        _refuse_quarantined(held)
        _refuse_removed(num_missing(place.files, study), len(study.instances))
        selection = select_series(place.paths(study))
        with place.database.begin() as transaction:
            told = json.dumps(describe_selection(selection))
            transaction.jobs.note_selection(job_id, told)
        chosen = pipeline.chosen_of(selection)
        stages.reach(Stage.SELECTED)
        series = pipeline.read(chosen.files)
        self._guard.check_input(series.headers, study)
        stages.reach(Stage.READ)
        aligned = self._segmenter.align(series.volume)
        stages.reach(Stage.ALIGNED)
        prediction = self._segmenter.segment_aligned(aligned)
        stages.reach(Stage.SEGMENTED)
        stored = place.files.write_result(scratch.dump(prediction), job_id=job.id, suffix=".npz")
        return {
            "files": [path.relative_to(place.files.root).as_posix() for path in chosen.files],
            "shortfall": pipeline.shortfall_of(chosen),
            "prediction": stored.path,
            "stages": stages.as_json(),
        }

    def encode(self, job_id: int, segmented: Json) -> Json:
        """Conclude, and write the result objects; a failure becomes a report too."""
        with log_scope(job=job_id):
            if segmented.get("ended"):
                return {}
            stages = stages_of(segmented)
            encoded = self._encode(job_id, segmented)
            stages.reach(Stage.ENCODED)
            return {**encoded, "stages": stages.as_json()}

    def _encode(self, job_id: int, segmented: Json) -> Json:
        if "failure" in segmented:
            reason = Reason(str(segmented["failure"]))
            detail = str(segmented["detail"])
            return encoding.encode_failure(self._place, job_id, reason, detail)
        try:
            return encoding.encode(self._place, job_id, segmented)
        except INTERRUPTIONS:
            raise
        except Exception as error:  # noqa: BLE001 - a study must not end without a report
            reason, detail, _ = _explain(error)
            return encoding.encode_failure(self._place, job_id, reason, detail)

    def record(self, job_id: int, encoded: Json) -> None:
        """Record what was made, and have it delivered."""
        if encoded:
            workplace.record(self._place, job_id, encoded)


class Deliverer:
    """The steps of a deliverer: send, see to commitment, report what an analyser could not end."""

    def __init__(self, place: Workplace, settings: Settings, caller: Caller) -> None:
        self._place, self._caller = place, caller
        self._courier = Courier(place, settings, caller)
        self._notifier = Notifier(place, settings, caller)
        self._answers = Answers(place.database, place.queues, settings)
        self._grantor = Grantor(place.database, place.files, place.queues, settings)

    def send(self, job_id: int, destination: str, attempt: int, opened_ms: int) -> None:
        """Make one attempt to send a job's results to a destination."""
        self._courier.send(job_id, destination, attempt, opened_ms)

    def look_for_answer(self, commitment_id: int) -> None:
        """Look whether a destination has answered whether it commits."""
        self._answers.look(commitment_id)

    def report_commitment(self, request_id: int, attempt: int) -> None:
        """Make one attempt to tell a sender what this node commits to."""
        self._grantor.report(request_id, attempt, self._caller)

    def notify(self, notification_id: int, attempt: int) -> None:
        """Make one attempt to tell somebody of a report."""
        self._notifier.notify(notification_id, attempt)

    def encode_failure(self, job_id: int, reason: str) -> Json:
        """Write the report of an analysis that was cancelled, or that killed its workers."""
        with log_scope(job=job_id):
            detail = DETAILS.get(Reason(reason), "")
            encoded = encoding.encode_failure(self._place, job_id, Reason(reason), detail)
            return {**encoded, "closing": True}

    def record(self, job_id: int, encoded: Json) -> None:
        """Record the report, and have it delivered."""
        workplace.record(self._place, job_id, encoded)


class CurrentAnalyst:
    """The steps of an analyser, each done as the settings say when it begins."""

    def __init__(self, analyst: Analyst) -> None:
        self.current = analyst

    def segment(self, job_id: int) -> Json:
        """Read and segment."""
        return self.current.segment(job_id)

    def encode(self, job_id: int, segmented: Json) -> Json:
        """Write the result objects."""
        return self.current.encode(job_id, segmented)

    def record(self, job_id: int, encoded: Json) -> None:
        """Record what was made, and have it delivered."""
        self.current.record(job_id, encoded)


class CurrentDeliverer:
    """The steps of a deliverer, each done as the settings say when it begins."""

    def __init__(self, deliverer: Deliverer) -> None:
        self.current = deliverer

    def send(self, job_id: int, destination: str, attempt: int, opened_ms: int) -> None:
        """Make one attempt to send a job's results to a destination."""
        self.current.send(job_id, destination, attempt, opened_ms)

    def look_for_answer(self, commitment_id: int) -> None:
        """Look whether a destination has answered whether it commits."""
        self.current.look_for_answer(commitment_id)

    def report_commitment(self, request_id: int, attempt: int) -> None:
        """Make one attempt to tell a sender what this node commits to."""
        self.current.report_commitment(request_id, attempt)

    def notify(self, notification_id: int, attempt: int) -> None:
        """Make one attempt to tell somebody of a report."""
        self.current.notify(notification_id, attempt)

    def encode_failure(self, job_id: int, reason: str) -> Json:
        """Write the report of an analysis that was cancelled, or that killed its workers."""
        return self.current.encode_failure(job_id, reason)

    def record(self, job_id: int, encoded: Json) -> None:
        """Record the report, and have it delivered."""
        self.current.record(job_id, encoded)


def _failure(error: Exception) -> Json:
    """Describe what went wrong for the next step; nothing but reason, our own words and retry."""
    reason, detail, retry = _explain(error)
    return {"failure": reason.value, "detail": detail, "retry": retry}


def _explain(error: Exception) -> tuple[Reason, str, bool]:
    """Give reason, words and whether a retry helps; foreign errors are named by type alone."""
    match error:
        case InputError():
            logger.info("not analysed: %s", error)
            return error.reason, str(error), False
        case AnalysisError():
            logger.warning("the analysis failed: %s", error)
            return error.reason, DETAILS[error.reason], error.retryable
        case MemoryError():
            logger.warning("the analysis ran out of memory")
            return Reason.RESOURCE, DETAILS[Reason.RESOURCE], True
        case MidlineError():
            logger.warning("the analysis failed: %s", error)
            return Reason.EQUIPMENT, DETAILS[Reason.EQUIPMENT], error.retryable
        case _:
            logger.error("the analysis failed: %s", type(error).__name__)
            return Reason.EQUIPMENT, DETAILS[Reason.EQUIPMENT], True


def _refuse_removed(num_removed: int, num_images: int) -> None:
    """Conclude nothing from a part of a study: some of its images went after their time."""
    if num_removed:
        raise IncompleteInputError(
            f"{num_removed} of {num_images} images are not in the store any more: send them again."
        )


def _refuse_quarantined(study: StudyRecord | None) -> None:
    """Cross-patient guard: a study that came under two patients is not analysed."""
    if study is None or study.state is StudyState.QUARANTINED:
        raise InputError("Images of another patient came under this study.", reason=Reason.FORMAT)

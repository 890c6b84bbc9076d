"""Where the time of a study goes: from its first image to what destinations commit to."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from node.stages import read_stages
from storage.records import CompleteStudy, DeliveryRecord, DeliveryState, JobRecord


@dataclass(frozen=True)
class Span:
    """One stretch of a study's time.

    Attributes
    ----------
    stage
        What had happened at its end, in one word or with the destination's name.
    began_at, ended_at
        From when to when.
    seconds
        How long; below 0 only where the clocks of several hosts disagree.
    """

    stage: str
    began_at: datetime
    ended_at: datetime
    seconds: float


def timeline_of(
    job: JobRecord, study: CompleteStudy | None, deliveries: Sequence[DeliveryRecord]
) -> tuple[Span, ...]:
    """Put the stages of a job's last run in order; of one that failed, what is known.

    Parameters
    ----------
    job, study
        The job, and its generation.
    deliveries
        Of the job, to all destinations.
    """
    moments = [
        ("received", study.first_received_at if study else job.last_received_at),
        ("received", job.last_received_at),
        ("complete", study.completed_at if study else job.created_at),
        ("started", job.started_at),
        *read_stages(job.stages_json).items(),
        ("recorded", job.finished_at),
    ]
    known = [(str(name), moment) for name, moment in moments if moment is not None]
    spans = [_span(name, began, ended) for (_, began), (name, ended) in itertools.pairwise(known)]
    return (*spans, *_sendings(deliveries))


def _sendings(deliveries: Sequence[DeliveryRecord]) -> Iterable[Span]:
    """Say when each destination had all that it was to get, and when it committed to all of it."""
    wanted = [each for each in deliveries if each.state is not DeliveryState.REPLACED]
    for name in sorted({delivery.destination for delivery in wanted}):
        own = [each for each in wanted if each.destination == name]
        sent = [each.sent_at for each in own if each.sent_at is not None]
        if not sent or len(sent) < len(own):
            continue
        yield _span(f"sent to {name}", min(each.created_at for each in own), max(sent))
        committed = [each.committed_at for each in own if each.committed_at is not None]
        if len(committed) == len(own):
            yield _span(f"committed by {name}", max(sent), max(committed))


def _span(stage: str, began_at: datetime, ended_at: datetime) -> Span:
    return Span(stage, began_at, ended_at, (ended_at - began_at).total_seconds())

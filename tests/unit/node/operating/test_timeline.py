"""The time line of a study: each stage that is known, in order, and nothing that is not."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from node.cli.timeline import bars
from node.operating.jobs import shown
from node.operating.timeline import Span, timeline_of
from node.stages import Stage, Stages, read_stages
from storage.database import Database
from storage.records import CompleteStudy, JobRecord
from tests.support.received import NOW, complete_study, made, queued_job, received


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'midline.sqlite'}")
    database.upgrade()
    yield database
    database.close()


STAGES = {stage: NOW + timedelta(seconds=4 + number) for number, stage in enumerate(Stage)}


def ended(database: Database, *, stages: dict[Stage, str]) -> JobRecord:
    job = queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(job.id, "worker", now=NOW + timedelta(seconds=3))
        found = transaction.jobs.finish(
            job.id,
            outcome="POSITIVE",
            stages_json=json.dumps(stages),
            now=NOW + timedelta(seconds=9),
        )
    assert found is not None
    return found


def study_of(database: Database, job: JobRecord) -> CompleteStudy:
    with database.read() as transaction:
        study = transaction.studies.read_complete(job.study_id, job.generation)
    assert study is not None
    return study


def test_each_stage_follows_the_one_before(database: Database) -> None:
    job = ended(database, stages={each: when.isoformat() for each, when in STAGES.items()})
    study = replace(study_of(database, job), first_received_at=NOW - timedelta(seconds=2))
    spans = timeline_of(job, study, ())
    assert [(span.stage, span.seconds) for span in spans] == [
        ("received", 2.0),
        ("complete", 0.0),
        ("started", 3.0),
        ("selected", 1.0),
        ("read", 1.0),
        ("aligned", 1.0),
        ("segmented", 1.0),
        ("encoded", 1.0),
        ("recorded", 1.0),
    ]
    assert all(before.ended_at == after.began_at for before, after in itertools.pairwise(spans))


def test_of_a_study_that_failed_is_shown_what_is_known(database: Database) -> None:
    job = ended(database, stages={Stage.SELECTED: STAGES[Stage.SELECTED].isoformat()})
    spans = timeline_of(job, study_of(database, job), ())
    assert [span.stage for span in spans] == [
        "received",
        "complete",
        "started",
        "selected",
        "recorded",
    ]


def test_a_queued_job_has_no_more_than_its_images(database: Database) -> None:
    job = queued_job(database)
    spans = timeline_of(job, study_of(database, job), ())
    assert [span.stage for span in spans] == ["received", "complete"]


def test_another_run_forgets_the_stages_of_the_last(database: Database) -> None:
    job = ended(database, stages={each: when.isoformat() for each, when in STAGES.items()})
    with database.begin() as transaction:
        again = transaction.jobs.requeue(job.id)
    assert again is not None
    assert again.stages_json is None


def test_a_destination_that_has_all_is_named(database: Database) -> None:
    job = ended(database, stages={})
    later = NOW + timedelta(seconds=20)
    with database.begin() as transaction:
        transaction.results.record(
            job.id, [made("SEG", 0), made("SR", 1)], ["archive", "pacs"], now=NOW
        )
        own = transaction.results.deliveries(job_id=job.id)
        for delivery in own:
            if delivery.destination == "pacs" or delivery.kind == "SEG":
                transaction.results.mark_sent(delivery.id, now=later)
        transaction.commitments.mark_committed(
            [each.id for each in own if each.destination == "pacs"], now=later
        )
        spans = shown(transaction, job.id).timeline
    assert [(span.stage, span.seconds) for span in spans[-2:]] == [
        ("sent to pacs", 20.0),
        ("committed by pacs", 0.0),
    ]


def test_the_images_of_an_earlier_generation_do_not_count(database: Database) -> None:
    queued_job(database)
    late = NOW + timedelta(hours=1)
    with database.begin() as transaction:
        study_id = transaction.studies.register(received(2), now=late).study_id
        second = complete_study(transaction, study_id)
    assert (second.generation, second.first_received_at) == (2, late)


def test_stages_go_on_in_another_step() -> None:
    first = Stages()
    first.reach(Stage.READ)
    second = Stages(json.loads(json.dumps(first.as_json())))
    second.reach(Stage.ENCODED)
    found = read_stages(json.dumps({**second.as_json(), "of a later version": "x"}))
    assert list(found) == [Stage.READ, Stage.ENCODED]
    assert found[Stage.READ] <= found[Stage.ENCODED]


def test_a_bar_lies_where_its_time_went() -> None:
    moments = [NOW + timedelta(seconds=each) for each in (0, 5, 5, 10)]
    spans = [
        Span(str(number), began, after, (after - began).total_seconds())
        for number, (began, after) in enumerate(itertools.pairwise(moments))
    ]
    assert bars(spans, width=10) == ["█████", "     █", "     █████"]
    assert bars([], width=10) == []

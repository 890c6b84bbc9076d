"""A study that kills every worker that touches it is given up, and still reported."""

import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import Reason
from node.engine import Json, Queues, migrate, run_deliverer
from storage.database import Database
from tests.support.databases import database_url
from tests.support.dying_analyser import LIVENESS
from tests.support.received import complete_study, received
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MOST_DEATHS = 8


class Closing:
    """Steps of a deliverer that notes which reports it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []

    def send(self, job_id: int, destination: str, attempt: int, opened_ms: int = 0) -> None:
        raise AssertionError("nothing is to be sent")

    def look_for_answer(self, commitment_id: int) -> None:
        raise AssertionError("nothing was asked")

    def report_commitment(self, request_id: int, attempt: int) -> None:
        raise AssertionError("nobody asked")

    def notify(self, notification_id: int, attempt: int) -> None:
        raise AssertionError("nobody is to be told")

    def encode_failure(self, job_id: int, reason: str) -> Json:
        self.asked.append((job_id, reason))
        return {}

    def record(self, job_id: int, encoded: Json) -> None:
        assert (job_id, encoded) == (self.asked[-1][0], {})


def poisoned_job(database: Database, queues: Queues) -> int:
    now = datetime.now(UTC)
    with database.begin() as transaction:
        study_id = transaction.studies.register(received(), now=now).study_id
        complete = complete_study(transaction, study_id)
        job_id = transaction.jobs.create(study_id, complete.generation, now=now).id
        queues.analyse(transaction.session, job_id)
    return job_id


@pytest.mark.parametrize("options", [(), ("--forgotten",)], ids=["known", "forgotten"])
def test_three_recoveries_are_enough(tmp_path: Path, options: tuple[str, ...]) -> None:
    with database_url(tmp_path) as url:
        job_id, asked, deaths = given_up(url, options)
    assert asked == [(job_id, Reason.EQUIPMENT)]
    assert 3 <= deaths <= 5


def given_up(url: str, options: tuple[str, ...]) -> tuple[int, list[tuple[int, str]], int]:
    """Let workers die on a job until its report is asked for: job, what was asked, how many."""
    database = Database(url)
    database.upgrade()
    migrate(database)
    queues, steps, stop = Queues(database.engine), Closing(), threading.Event()
    job_id = poisoned_job(database, queues)
    deliverer = threading.Thread(
        target=run_deliverer,
        args=(database, steps),
        kwargs={"executor_id": "deliver", "slots": 1, "liveness": LIVENESS, "stop": stop},
    )
    deliverer.start()
    deaths = 0
    command = [sys.executable, "-m", "tests.support.dying_analyser", url, *options]
    try:
        while not steps.asked and deaths < MOST_DEATHS:
            with subprocess.Popen(command) as worker:
                try:
                    eventually(lambda w=worker: w.poll() is not None or steps.asked, seconds=60)
                finally:
                    worker.kill()
            deaths += worker.returncode == 9
        eventually(lambda: steps.asked, seconds=60)
    finally:
        stop.set()
        deliverer.join()
        queues.close()
        database.close()
    return job_id, steps.asked, deaths

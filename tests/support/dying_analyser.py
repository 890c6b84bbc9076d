"""An analyser that dies at each study, as if a decoder crashed: for tests of recovery."""

import os
import sys
import threading
from datetime import UTC, datetime

from config.settings import LivenessSettings
from node.engine import Json, new_executor_id, run_analyser
from storage.database import Database

LIVENESS = LivenessSettings(beat_seconds=0.2, dead_after_seconds=5.0)


class Dying:
    """Steps that end the process with the first one, without a chance to clean up.

    With `forgotten` its sign of life is removed first, as if another worker had taken it for dead.
    """

    def __init__(self, database: Database, executor_id: str, *, forgotten: bool) -> None:
        self._database, self._executor_id = database, executor_id
        self._forgotten = forgotten

    def segment(self, job_id: int) -> Json:
        with self._database.begin() as transaction:
            transaction.jobs.start(job_id, self._executor_id, now=datetime.now(UTC))
            if self._forgotten:
                transaction.workers.remove(self._executor_id)
        os._exit(9)

    def encode(self, job_id: int, segmented: Json) -> Json:
        raise AssertionError("it never gets here")

    def record(self, job_id: int, encoded: Json) -> None:
        raise AssertionError("it never gets here")


def main() -> None:
    """Work on the queue of the database whose URL is given."""
    database = Database(sys.argv[1])
    executor_id = new_executor_id("analyse")
    run_analyser(
        database,
        Dying(database, executor_id, forgotten="--forgotten" in sys.argv),
        executor_id=executor_id,
        attempts=1,
        max_recovery_attempts=3,
        device="cpu",
        liveness=LIVENESS,
        stop=threading.Event(),
    )


if __name__ == "__main__":
    main()

"""A worker that only tells when it starts and ends what; started by `benchmarks.queueing`."""

import argparse
import os
import signal
import sys
import threading
import time

from config import log
from config.settings import LivenessSettings
from node.engine import Json, new_executor_id, run_analyser
from storage.database import Database


class Told:
    """Steps that write a line when they begin, and last as long as they are told to."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def segment(self, job_id: int) -> Json:
        """Begin, and keep the worker for a while."""
        _tell(f"start {job_id} {time.time():.6f}")
        time.sleep(self._seconds)
        return {}

    def encode(self, job_id: int, _segmented: Json) -> Json:
        """Do nothing."""
        return {"job": job_id}

    def record(self, job_id: int, _encoded: Json) -> None:
        """Tell of the end."""
        _tell(f"end {job_id} {time.time():.6f}")


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Work until stopped by SIGTERM; first a line with the process's number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--job-seconds", type=float, default=0.0)
    options = parser.parse_args()
    log.configure("ERROR")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _tell(f"worker {os.getpid()}")
    run_analyser(
        Database(options.url),
        Told(options.job_seconds),
        executor_id=new_executor_id("analyse"),
        attempts=1,
        max_recovery_attempts=3,
        device="cpu",
        liveness=LivenessSettings(),
        stop=stop,
    )


if __name__ == "__main__":
    main()

"""How many images a second one database takes, whoever receives them.

Processes side by side enter images into one index, each image in a transaction of its own, as a
listener does before it answers Success; no files are written and no network is used. What comes out
is the bound that all listeners of one database share.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import copies
from benchmarks.progress import Tell, silent
from benchmarks.sites import ROOT
from node.engine import migrate
from storage.database import Database
from storage.records import ReceivedInstance
from tests.support.databases import database_url

TITLE = "One database"
IMAGES_OF_A_STUDY = 100


def num_steps(*, kinds: Sequence[str], counts: Sequence[int]) -> int:
    """Count the databases that are filled."""
    return len(kinds) * len(counts)


def measure(
    *,
    kinds: Sequence[str] = ("sqlite",),
    counts: Sequence[int] = (1, 2, 4, 8),
    seconds: float = 10.0,
    tell: Tell = silent,
) -> dict[str, object]:
    """Fill databases by more and more processes.

    Parameters
    ----------
    kinds
        ``sqlite``, ``postgresql``.
    counts
        Of processes.
    seconds
        How long each fills.
    tell
        Is told of each database.
    """
    cases = []
    for kind in kinds:
        for count in counts:
            tell(f"{count} process(es) on {kind}")
            with tempfile.TemporaryDirectory() as name:
                if kind == "sqlite":
                    rate = _fill(f"sqlite:///{Path(name) / 'midline.sqlite'}", count, seconds)
                else:
                    with database_url(Path(name)) as url:
                        rate = _fill(url, count, seconds)
            cases.append({"database": kind, "processes": count, "rate": round(rate, 1)})
    return {"seconds": seconds, "cases": cases}


def _fill(url: str, count: int, seconds: float) -> float:
    """Images a second of all processes together."""
    database = Database(url)
    database.upgrade()
    migrate(database)
    database.close()
    command = [sys.executable, "-m", "benchmarks.registering", str(seconds)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(count)
        ]
        # not among the arguments, which everybody on the machine can read: it may hold a password
        for process in processes:
            _tell(process, url)
        for process in processes:
            _heard(process)  # it is ready
        for process in processes:
            _tell(process, "go")
        return sum(float(_heard(process)) for process in processes)


def _tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _heard(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError("a process that enters images ended")
    return line


def main() -> None:
    """Enter images for so many seconds, when told to; print how many a second."""
    parser = argparse.ArgumentParser(description="Enter images into the index on standard input.")
    parser.add_argument("seconds", type=float)
    seconds = parser.parse_args().seconds
    database = Database(sys.stdin.readline().strip())
    _enter(database, copies.new_token(), 0)
    print("ready", flush=True)
    sys.stdin.readline()
    begun, number, token = time.monotonic(), 0, ""
    while time.monotonic() < begun + seconds:
        if number % IMAGES_OF_A_STUDY == 0:
            token = copies.new_token()
        _enter(database, token, number)
        number += 1
    print(number / (time.monotonic() - begun), flush=True)


def _enter(database: Database, token: str, number: int) -> None:
    with database.begin() as transaction:
        transaction.studies.register(_image(token, number), now=datetime.now(UTC))


def _image(token: str, number: int) -> ReceivedInstance:
    return ReceivedInstance(
        study_instance_uid=copies.study_uid(token),
        series_instance_uid=f"2.25.9{token}2",
        sop_instance_uid=f"2.25.9{token}4{number:06d}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        patient_key=token.ljust(64, "0"),
        calling_ae_title="CT1",
        sha256=f"{token}{number:06d}".ljust(64, "0"),
        num_bytes=526_000,
        path=f"{token}/{number:06d}.dcm",
    )


def table(found: Mapping[str, Any]) -> list[str]:
    """Write what was found as a table."""
    cases = found["cases"]
    lines = ["| database | processes | images/s in all |", "|---|--:|--:|"]
    lines += [
        f"| {case['database']} | {case['processes']} | {case['rate']:.0f} |" for case in cases
    ]
    return lines


if __name__ == "__main__":
    main()

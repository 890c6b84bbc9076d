"""How long an operator waits for ``midline status`` when the index holds years of studies.

::

    python -m benchmarks.status --instances 1000000 --queued 10000

Measured is the whole command, from the shell to the last line, beside what the database takes of
it. Besides SQLite it measures on PostgreSQL where ``MIDLINE_TEST_DATABASE_URL`` names a server.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.filling import Fill, fill
from benchmarks.inference_report import describe_machine
from benchmarks.reporting import write_results
from config.settings import Settings, load_settings
from node.engine import migrate
from node.operating.jobs import JobFilter, listed
from node.operating.overview import look
from storage.database import Database
from storage.records import JobState
from tests.support.databases import SERVER, database_url

ROOT = Path(__file__).parents[1]
COMMANDS = ("status", "status --json", "queue list", "queue list --state QUEUED")
SETTINGS = """
[storage]
folder = "{folder}"
database_url = "{url}"
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = 104
"""


def measure(
    *,
    kinds: Sequence[str] = ("sqlite",),
    instances: int = 1_000_000,
    queued: int = 10_000,
    repeats: int = 7,
) -> dict[str, object]:
    """Measure the commands on each kind of database.

    Parameters
    ----------
    kinds
        ``sqlite``, ``postgresql``.
    instances, queued
        Images in the index, and studies that wait for their analysis.
    repeats
        Runs of each command, after one to warm up.
    """
    found: dict[str, object] = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if kind == "sqlite":
                url = f"sqlite:///{folder / 'midline.sqlite'}"
                found[kind] = _measured(folder, url, Fill(instances, queued), repeats)
                continue
            with database_url(folder) as url:
                found[kind] = _measured(folder, url, Fill(instances, queued), repeats)
    return found


def _measured(folder: Path, url: str, wanted: Fill, repeats: int) -> dict[str, object]:
    config = folder / "midline.toml"
    config.write_text(SETTINGS.format(folder=folder, url=url), encoding="utf-8")
    settings = load_settings(config)
    database = Database(url)
    database.upgrade()
    migrate(database)
    began = time.perf_counter()
    fill(database, wanted)
    filled = time.perf_counter() - began
    inside = _inside(database, settings, repeats)
    database.close()
    return {
        "studies": wanted.num_studies,
        "fill_seconds": round(filled, 1),
        "inside": inside,
        "commands": {words: _timed(config, words, repeats) for words in COMMANDS},
    }


def _inside(database: Database, settings: Settings, repeats: int) -> dict[str, float]:
    """Time what the commands ask the database, in milliseconds, without starting a process."""
    queued = JobFilter(state=JobState.QUEUED)
    looks: dict[str, list[float]] = {"look": [], "list": [], "list_queued": []}
    for _ in range(repeats + 1):
        with database.read() as transaction:
            moments = [time.perf_counter()]
            look(transaction, settings)
            moments.append(time.perf_counter())
            listed(transaction, JobFilter(), limit=20)
            moments.append(time.perf_counter())
            listed(transaction, queued, limit=20)
            moments.append(time.perf_counter())
        for name, began, ended in zip(looks, moments, moments[1:], strict=False):
            looks[name].append(1000 * (ended - began))
    return {name: round(statistics.median(each[1:]), 1) for name, each in looks.items()}


def _timed(config: Path, words: str, repeats: int) -> dict[str, float]:
    """Time a whole command: wall clock and CPU, in seconds."""
    command = [sys.executable, "-m", "node.cli", "--config", str(config), *words.split()]
    walls, cpus = [], []
    for _ in range(repeats + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {
        "median_s": round(statistics.median(walls[1:]), 2),
        "most_s": round(max(walls[1:]), 2),
        "cpu_s": round(statistics.median(cpus[1:]), 2),
    }


def table(found: Mapping[str, object]) -> list[str]:
    """Write what was found as a table."""
    lines = ["| database | what | median s | most s | CPU s |", "|---|---|---|---|---|"]
    for kind, measured in found.items():
        assert isinstance(measured, dict)  # noqa: S101 - as `measure` makes it
        lines += [
            f"| {kind} | `midline {words}` | {each['median_s']} | {each['most_s']} "
            f"| {each['cpu_s']} |"
            for words, each in measured["commands"].items()
        ]
        lines += [
            f"| {kind} | of it the database, {name} | {milliseconds / 1000:.3f} | | |"
            for name, milliseconds in measured["inside"].items()
        ]
    return lines


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=1_000_000)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    machine = describe_machine()
    settings = {name: getattr(options, name) for name in ("instances", "queued", "repeats")}
    kinds = ("sqlite", "postgresql") if SERVER in os.environ else ("sqlite",)
    found = measure(kinds=kinds, **settings)
    title = f"midline status: {options.instances:,} images, {options.queued:,} studies queued"
    write_results(
        "status",
        options.out,
        title=title,
        settings=settings,
        found=found,
        lines=table(found),
        machine=machine,
    )


if __name__ == "__main__":
    main()

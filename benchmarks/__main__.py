"""``python -m benchmarks``: measure everything side by side, and bring it into the documents.

Each benchmark runs in a process of its own and writes one JSON file; what fails is told in the
page, and costs no other one its figures. The pages are made of the JSON files alone.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import dcmtk, pages
from benchmarks.catalogue import BENCHMARKS, Benchmark
from benchmarks.inference_report import describe_machine
from tests.support.databases import SERVER

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
STOP_SECONDS = 60.0
console = Console(stderr=True)


def main(
    *,
    only: Annotated[str, typer.Option(help="Names of benchmarks, separated by commas.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Only see whether it works.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what this commit has measured already.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the JSON files.")] = RESULTS,
    write_pages: Annotated[
        bool, typer.Option("--pages/--no-pages", help="Write the documents anew.")
    ] = True,
) -> None:
    """Measure, and write the documents; exit 1 if a benchmark failed."""
    chosen = _chosen(only)
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    with ExitStack() as stack:
        environment = os.environ | _postgresql(stack)
        for benchmark in chosen:
            target = out / f"{benchmark.name}.json"
            if resume and _is_measured(target, quick=quick):
                console.print(f"{benchmark.name}: measured already")
                continue
            why = run(benchmark, target, environment, quick=quick)
            if why:
                failed.append(benchmark.name)
                note_failure(target, benchmark.name, why)
                console.print(f"[red]{benchmark.name} failed:[/red] {why}")
    if write_pages:
        pages.write(out)
    if failed:
        console.print(f"failed: {', '.join(failed)}; the others are in {out}")
        raise typer.Exit(1)


def run(benchmark: Benchmark, target: Path, environment: dict[str, str], *, quick: bool) -> str:
    """Run one in a process of its own; why it failed, empty if it did not."""
    command = [sys.executable, "-m", "benchmarks.single", benchmark.name, "--out", str(target)]
    command += ["--quick"] if quick else []
    # a session of its own, so that all that it started can be ended with it
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=3600 * benchmark.hours)
    except subprocess.TimeoutExpired:
        _end(process)
        return f"not done after {benchmark.hours:g} hours"
    except KeyboardInterrupt:
        _end(process)
        raise
    return "" if process.returncode == 0 else said.strip() or f"code {process.returncode}"


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt a benchmark and what it started; kill what does not end."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def note_failure(target: Path, name: str, why: str) -> None:
    """Keep the figures of an earlier run, and note that the last one failed."""
    content: dict[str, Any] = {"benchmark": name}
    if target.exists():
        content = json.loads(target.read_text(encoding="utf-8"))
    content["failed"] = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "why": why}
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _chosen(only: str) -> list[Benchmark]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    known = {benchmark.name for benchmark in BENCHMARKS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}; known: {', '.join(sorted(known))}")
    return [each for each in BENCHMARKS if not names or each.name in names]


def _is_measured(target: Path, *, quick: bool) -> bool:
    if not target.exists():
        return False
    content = json.loads(target.read_text(encoding="utf-8"))
    commit = content.get("machine", {}).get("commit", "").rstrip("+")
    there = "failed" not in content and content.get("quick") == quick
    return there and commit == describe_machine().commit.rstrip("+")


def _postgresql(stack: ExitStack) -> dict[str, str]:
    """Run a PostgreSQL for all benchmarks, if it is installed and none is named."""
    if SERVER in os.environ:
        return {}
    try:
        return {SERVER: stack.enter_context(dcmtk.postgresql("measured"))}
    except dcmtk.MissingError as error:
        console.print(f"without PostgreSQL: {error}")
        return {}


if __name__ == "__main__":
    typer.run(main)

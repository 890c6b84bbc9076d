"""What a benchmark found, as JSON and as a table, beside the machine that it was found on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.inference_report import Machine, describe_machine


def percentile(values: Sequence[float], percent: float) -> float:
    """Value below which so many percent lie."""
    return float(np.percentile(values, percent))


def write_results(
    name: str,
    folder: Path,
    *,
    title: str,
    settings: Mapping[str, object],
    found: Mapping[str, object],
    lines: Sequence[str],
    machine: Machine | None = None,
) -> Path:
    """Write a benchmark's JSON and Markdown, and print the latter.

    Parameters
    ----------
    name
        Of the benchmark: the files are ``<name>_<hardware>_<yyyymmdd>``.
    folder
        Where they go.
    title
        Heading of the Markdown.
    settings, found
        What was asked for, and what `measure` gave back.
    lines
        The table.
    machine
        Looked at before the measurement, which loads it; now, if that is left out.

    Returns
    -------
    Path
        Of the Markdown.
    """
    machine = machine or describe_machine()
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{name}_{machine.slug}_{datetime.now(UTC):%Y%m%d}"
    described = {
        "benchmark": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("midline"),
        "machine": asdict(machine),
        "settings": dict(settings),
        "found": dict(found),
    }
    stem.with_suffix(".json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    told = (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB; Python {machine.python}; "
        f"commit {machine.commit}; load average before: {machine.load}."
    )
    text = "\n".join([f"# {title}", "", told, "", *lines, ""])
    target = stem.with_suffix(".md")
    target.write_text(text, encoding="utf-8")
    print(text)
    return target

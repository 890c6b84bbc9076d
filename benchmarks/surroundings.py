"""Where a benchmark ran: the machine, its file system, and what else was installed on it."""

import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.inference_report import describe_machine

PACKAGES: tuple[str, ...] = ("dbos", "pydicom", "pynetdicom", "SQLAlchemy", "torch")
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "DCMTK": ("/usr/bin/storescp", "--version"),
    "Orthanc": ("/usr/sbin/Orthanc", "--version"),
}


def describe() -> dict[str, object]:
    """Describe the machine before it is loaded by the benchmark itself; Linux only."""
    machine = describe_machine()
    folder = Path(tempfile.gettempdir())
    return asdict(machine) | {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "kernel": platform.release(),
        "file_system": file_system_of(folder, Path("/proc/mounts").read_text(encoding="utf-8")),
        "packages": {name: _version(name) for name in PACKAGES},
        "programs": {name: _said(command) for name, command in PROGRAMS.items()},
        "load_averages": [round(load, 2) for load in os.getloadavg()],
    }


def file_system_of(folder: Path, mounts: str) -> str:
    """Name the file system that a folder is on.

    Parameters
    ----------
    folder
        Where.
    mounts
        Content of ``/proc/mounts``; of two mounts at one place the later one counts.
    """
    best, name = -1, "unknown"
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        if folder.resolve().is_relative_to(place) and len(place) >= best:
            best, name = len(place), kind
    return name


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _said(command: tuple[str, ...]) -> str:
    """Find the version in what a program says of itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return found[0] if found else "unknown"

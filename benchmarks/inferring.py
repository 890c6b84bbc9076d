"""Inference of each network: `benchmarks.inference` as one of the benchmarks."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.inference import BACKENDS
from benchmarks.sites import ROOT

TITLE = "Inference on this CPU"


def measure(
    *,
    networks: str = "lite,full",
    backends: str = ",".join(BACKENDS),
    repeats: int = 5,
    slices: int = 32,
) -> dict[str, object]:
    """Measure networks in processes of their own.

    Parameters
    ----------
    networks, backends
        Separated by commas.
    repeats
        Timed runs of each.
    slices
        Of the light network; the full one gets one.
    """
    command = [sys.executable, "-m", "benchmarks.inference", "--networks", networks]
    command += ["--backends", backends, "--repeats", str(repeats), "--slices", str(slices)]
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([*command, "--out", name], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        written = next(Path(name).glob("*.json"))
        found = json.loads(written.read_text(encoding="utf-8"))
    return {"settings": found["settings"], "lines": found["lines"]}


def table(found: Mapping[str, Any]) -> list[str]:
    """Write what was found as a table."""
    settings = found["settings"]
    lines = [
        f"Median of {settings['repeats']} runs, {settings['threads']} threads.",
        "",
        "| network | backend | slices | seconds | a slice, s | peak, MiB |",
        "|---|---|---|--:|--:|--:|",
    ]
    for line in found["lines"]:
        named = f"| {line['network']} | {line['backend']} | {line['what']} |"
        if line["seconds"] is None:
            lines.append(f"{named} skipped: {line['skipped']} | | |")
            continue
        each = line["seconds"] / int(line["what"].split()[0])
        lines.append(f"{named} {line['seconds']:.2f} | {each:.3f} | {line['peak_mib']:.0f} |")
    return lines

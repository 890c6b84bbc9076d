"""What a benchmark of inference found, and on which machine, as JSON and Markdown."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES: tuple[str, ...] = ("torch", "onnxruntime", "openvino", "numpy")

FLAGS: tuple[str, ...] = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""What of a CPU decides how fast networks run on it."""


@dataclass(frozen=True)
class Line:
    """One line of the report.

    Attributes
    ----------
    network, backend
        What was measured.
    what
        Number and size of the slices.
    seconds
        Median over the runs; None if it was skipped.
    peak_mib
        Largest resident memory of its process, MiB.
    agreement
        Share of pixels with the class that the first backend gives to them.
    skipped
        Why it was not measured.
    """

    network: str
    backend: str
    what: str
    seconds: float | None = None
    peak_mib: float | None = None
    agreement: float | None = None
    skipped: str = ""


@dataclass(frozen=True)
class Machine:
    """Where it was measured.

    Attributes
    ----------
    cpu, flags, cores, memory_gib
        Model, those of `FLAGS` that it has, cores that this process may use, memory.
    load
        Load average of the minute before: well above 0, the figures are too slow.
    python, packages
        Versions.
    commit
        Of the code, with a plus if it was changed since.
    """

    cpu: str
    flags: tuple[str, ...]
    cores: int
    memory_gib: float
    load: float
    python: str
    packages: Mapping[str, str]
    commit: str

    @property
    def slug(self) -> str:
        """Name of the hardware for a file's name."""
        cpu = re.sub(r"\(.*?\)|processor|cpu|@.*", "", self.cpu, flags=re.IGNORECASE)
        return "-".join(re.findall(r"[a-z0-9]+", cpu.lower())) + f"-{self.cores}cores"


def describe_machine() -> Machine:
    """Look at the machine; Linux only."""
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.*)$", facts, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", facts, re.MULTILINE)
    has = set(flags[1].split()) if flags else set()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cpu=model[1] if model else platform.processor() or platform.machine(),
        flags=tuple(flag for flag in FLAGS if flag in has),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory / 2**30, 1),
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        commit=_commit(),
    )


def write_report(
    stem: Path, machine: Machine, settings: Mapping[str, object], lines: Sequence[Line]
) -> Path:
    """Write ``stem``.json and ``stem``.md; return the path of the latter."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": asdict(machine),
        "settings": dict(settings),
        "lines": [asdict(line) for line in lines],
    }
    stem.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    target = stem.with_suffix(".md")
    target.write_text("\n".join(_markdown(machine, settings, lines)) + "\n", encoding="utf-8")
    return target


def _markdown(
    machine: Machine, settings: Mapping[str, object], lines: Sequence[Line]
) -> Iterable[str]:
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    yield "# Inference on a CPU"
    yield ""
    yield (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB; "
        f"{', '.join(machine.flags) or 'none of the flags looked for'}. "
        f"Python {machine.python}, {packages}; commit {machine.commit}."
    )
    yield ""
    yield (
        f"Median of {settings['repeats']} runs after one to warm up, {settings['threads']} "
        f"threads; load average before: {machine.load}. Peak memory is that of a process that does "
        "nothing else. Agreement: share of pixels with the class of the first backend."
    )
    yield ""
    yield "| network | backend | slices | seconds | a slice, s | peak, MiB | agreement |"
    yield "|---|---|---|---|---|---|---|"
    yield from map(_row, lines)


def _row(line: Line) -> str:
    cells = [line.network, line.backend, line.what]
    if line.seconds is None:
        return f"| {' | '.join(cells)} | skipped: {line.skipped} | | | |"
    slices = int(line.what.split()[0])
    agreement = "-" if line.agreement is None else f"{line.agreement:.5f}"
    cells += [f"{line.seconds:.3f}", f"{line.seconds / slices:.4f}", f"{line.peak_mib:.0f}"]
    return f"| {' | '.join(cells)} | {agreement} |"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Return the commit of the code, or ``unknown`` outside of a checkout."""
    folder = Path(__file__).parent
    said = [
        subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S607
        for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain"])
    ]
    if said[0].returncode:
        return "unknown"
    return said[0].stdout.strip() + ("+" if said[1].stdout.strip() else "")

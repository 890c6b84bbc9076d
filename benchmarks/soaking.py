"""Whether the processes of a node grow: memory over thousands of small studies, one after another.

Studies go through the whole node, from C-STORE to the report at a storescp. Every few of them
resident memory, threads and open files of listener, analyser and deliverer are noted, and the size
of what is on the disk. After a warm-up a line is fitted: a role is flat if the line rises by less
than a tenth of its middle over the rest of the run.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import copies, dcmtk
from benchmarks.progress import Tell, silent
from benchmarks.sites import Site, folder_mib, resident_mib, running_site

TITLE = "Soak"
ROLES = ("listen", "analyse", "deliver")
WARM_UP_SHARE = 0.2
FLAT = 0.1
AHEAD = 4
"""So many studies may be on their way."""
PATIENCE_SECONDS = 600.0
AT_REST_SECONDS = 30.0


@dataclass(frozen=True)
class Line:
    """A straight line through the memory of one role after the warm-up.

    Attributes
    ----------
    middle_mib
        Mean over the run.
    per_thousand_mib
        Slope: growth over a thousand studies.
    growth
        Rise of the line over the run, as a share of the middle.
    """

    middle_mib: float
    per_thousand_mib: float
    growth: float

    @property
    def is_flat(self) -> bool:
        """Whether it rises by less than `FLAT`; falling is no growth."""
        return self.growth < FLAT


def fit(studies: Sequence[float], mib: Sequence[float]) -> Line:
    """Fit a line by least squares, without the warm-up.

    Parameters
    ----------
    studies
        Finished at each sample.
    mib
        Memory at each sample.

    Raises
    ------
    ValueError
        If fewer than two samples are left.
    """
    x, y = np.asarray(studies, np.float64), np.asarray(mib, np.float64)
    after = x >= WARM_UP_SHARE * x.max()
    if after.sum() < 2:
        raise ValueError("two samples after the warm-up are the least")
    slope, _ = np.polyfit(x[after], y[after], 1)
    middle = float(y[after].mean())
    rise = slope * (x[after].max() - x[after].min())
    return Line(round(middle, 1), round(1000 * float(slope), 2), round(float(rise) / middle, 4))


def num_steps(*, studies: int) -> int:
    """Count the studies."""
    return studies


def measure(*, studies: int = 2000, tell: Tell = silent) -> dict[str, object]:
    """Send studies through one node.

    Parameters
    ----------
    studies
        How many.
    tell
        Is told of each study.
    """
    every = max(1, studies // 100)
    samples: list[dict[str, float]] = []
    template = copies.tiny_head()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            dcmtk.storescp(folder / "received") as peer,
            running_site(
                folder / "site", *ROLES, destination=peer, tables={"analysis": {"threads": 1}}
            ) as site,
        ):
            for number in range(1, studies + 1):
                tell("studies")
                token = copies.new_token()
                files = template.write(folder / "sent", token)
                dcmtk.send([files], site.peer)
                site.wait_until_analysed(number - AHEAD, PATIENCE_SECONDS)
                if number % every == 0:
                    samples.append({"studies": number} | _sample(site))
                    _tidy(folder / "received")
            site.wait_until_sent(studies, PATIENCE_SECONDS)
            states = site.counts()
            disk = _disk(site)
    numbers = [sample["studies"] for sample in samples]
    lines = {role: fit(numbers, [sample[role] for sample in samples]) for role in ROLES}
    return {
        "studies": studies,
        "images_each": len(template.files),
        "kib_each": round(template.num_bytes / 1024, 1),
        "states": dict(states),
        "disk_kib_each": {what: round(1024 * mib / studies, 1) for what, mib in disk.items()},
        "roles": {role: asdict(line) | {"flat": line.is_flat} for role, line in lines.items()},
        "samples": samples,
    }


def _tidy(folder: Path) -> None:
    """Remove what the receiver has kept, apart from what it may be writing."""
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > AT_REST_SECONDS:
            path.unlink()


def _sample(site: Site) -> dict[str, float]:
    found: dict[str, float] = {}
    for role in ROLES:
        pid = site.processes[role][0].pid
        found[role] = round(resident_mib(pid), 2)
        found[f"{role} threads"] = len(list(Path(f"/proc/{pid}/task").iterdir()))
        found[f"{role} files"] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return found


def _disk(site: Site) -> dict[str, float]:
    data = site.folder / "data"
    index = sum(path.stat().st_size for path in data.glob("midline.sqlite*")) / 1024**2
    return {"files": folder_mib(data / "files"), "index and queue": index}


def table(found: Mapping[str, Any]) -> list[str]:
    """Write what was found as a table."""
    roles, disk, samples = found["roles"], found["disk_kib_each"], found["samples"]
    first, last = samples[0], samples[-1]
    lines = [
        (
            f"{found['studies']} studies of {found['images_each']} images, {found['kib_each']} KiB "
            f"in all. Line through the resident memory after the first {100 * WARM_UP_SHARE:.0f} %."
        ),
        "",
        (
            "| role | memory, MiB | growth over the run | MiB in 1,000 studies "
            "| threads, first, last | open files, first, last | flat within 10 % |"
        ),
        "|---|--:|--:|--:|---|---|---|",
    ]
    for role, line in roles.items():
        threads = f"{first[f'{role} threads']}, {last[f'{role} threads']}"
        files = f"{first[f'{role} files']}, {last[f'{role} files']}"
        lines.append(
            f"| {role} | {line['middle_mib']:.0f} | {100 * line['growth']:+.1f} % "
            f"| {line['per_thousand_mib']:+.1f} | {threads} | {files} "
            f"| {'yes' if line['flat'] else 'NO'} |"
        )
    each = ", ".join(f"{what} {kib:.0f} KiB" for what, kib in disk.items())
    return [*lines, "", f"On the disk for each study: {each}; received images are part of it."]

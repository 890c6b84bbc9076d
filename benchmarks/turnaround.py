"""How long a study takes from its last image to its report at a receiving SCP, stage by stage.

A head of 32 slices of 512 x 512 is sent by DCMTK's storescu to a node with one of each role, which
has nothing else to do; the report arrives at a storage SCP of this process. A sender's habits are
learned first: whom the node does not know it gives time for further images.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from benchmarks import copies, dcmtk
from benchmarks.progress import Tell, silent
from benchmarks.sites import Site, running_site
from node.evidence import KNOWN_AFTER_STUDIES
from node.operating.timeline import timeline_of
from node.status import StoreStatus
from tests.support.pacs import running_pacs

TITLE = "From the last image to the report"
PATIENCE_SECONDS = 600.0
STAGES = {
    "transfer": "sender's first image to its last response",
    "completion": "last response to the job",
    "start": "job to the worker that begins it",
    "analysis": "reading, segmenting, writing the results",
    "delivery": "results to the report at the receiver",
    "total": "last response to the report at the receiver",
}
KNOWN, UNKNOWN = "known sender", "sender never seen before"


class Arrivals:
    """When the report of each study came, in seconds since 1970."""

    def __init__(self) -> None:
        self.reports: dict[str, float] = {}

    def note(self, ds: Dataset) -> int:
        """Answer a C-STORE, and note when a report came."""
        if ds.Modality == "SR":
            self.reports[str(ds.StudyInstanceUID)] = time.time()
        return StoreStatus.SUCCESS


def num_steps(*, repeats: int, unknown: int) -> int:
    """Count the studies, and the learning of the sender's habits."""
    return repeats + unknown + 1


def measure(*, repeats: int = 5, unknown: int = 3, tell: Tell = silent) -> dict[str, object]:
    """Send studies one after the other.

    Parameters
    ----------
    repeats
        Studies of a sender whose habits are known; the first one warms up and is not counted.
    unknown
        Studies of senders that were never seen.
    tell
        Is told of each study.
    """
    cases: dict[str, list[dict[str, float]]] = {KNOWN: [], UNKNOWN: []}
    arrivals = Arrivals()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        head, tiny = copies.whole_head(folder / "made"), copies.tiny_head()
        with (
            running_pacs(answer=arrivals.note) as pacs,
            running_site(
                folder / "site", "listen", "analyse", "deliver", destination=pacs.peer
            ) as site,
        ):
            tell("the sender becomes known")
            for _ in range(KNOWN_AFTER_STUDIES):
                token = copies.new_token()
                dcmtk.send([tiny.write(folder / "sent" / token, token)], site.peer)
            site.wait_until_sent(KNOWN_AFTER_STUDIES, PATIENCE_SECONDS)
            _study(site, arrivals, head, folder, "CT1")
            for number in range(repeats):
                tell(f"study {number + 1} of {KNOWN}")
                cases[KNOWN].append(_study(site, arrivals, head, folder, "CT1"))
            for number in range(unknown):
                tell(f"study {number + 1} of {UNKNOWN}")
                cases[UNKNOWN].append(_study(site, arrivals, head, folder, f"NEW{number}"))
    return {
        "slices": len(head.files),
        "megabytes": round(head.num_bytes / 1e6, 1),
        "cases": {case: _summary(rows) for case, rows in cases.items() if rows},
    }


def _study(
    site: Site, arrivals: Arrivals, template: copies.Template, folder: Path, ae_title: str
) -> dict[str, float]:
    """Send one study, wait for its report, and say how long each stage took, in seconds."""
    token = copies.new_token()
    uid = copies.study_uid(token)
    files = template.write(folder / "sent" / token, token)
    done = dcmtk.send([files], site.peer, calling_ae_title=ae_title)
    site.wait(lambda: uid in arrivals.reports, "no report came", PATIENCE_SECONDS)
    arrived = arrivals.reports[uid]
    site.wait(lambda: site.num_unsent() == 0, "not everything was sent", PATIENCE_SECONDS)
    passage = next(each for each in site.passages() if each.study_instance_uid == uid)
    stages = {
        "transfer": done.seconds,
        "completion": passage.queued - done.ended_at,
        "start": passage.started - passage.queued,
        "analysis": passage.finished - passage.started,
        "delivery": arrived - passage.finished,
        "total": arrived - done.ended_at,
    }
    return stages | {f"of the analysis: {name}": value for name, value in _told(site, uid).items()}


def _told(site: Site, study_instance_uid: str) -> dict[str, float]:
    """Read what the analysis tells of its own stages."""
    with site.database.read() as transaction:
        jobs = transaction.jobs.list(limit=10)
    job = next(each for each in jobs if each.study_instance_uid == study_instance_uid)
    spans = timeline_of(job, None, ())
    return {
        span.stage: span.seconds
        for span in spans
        if span.began_at >= (job.started_at or span.ended_at)
    }


def _summary(rows: Sequence[Mapping[str, float]]) -> dict[str, object]:
    return {
        "number": len(rows),
        "stages": {
            stage: {
                "median": round(statistics.median(row[stage] for row in rows), 3),
                "least": round(min(row[stage] for row in rows), 3),
                "most": round(max(row[stage] for row in rows), 3),
            }
            for stage in rows[0]
        },
    }


def table(found: Mapping[str, Any]) -> list[str]:
    """Write what was found as a table."""
    cases = found["cases"]
    lines = [
        f"A study of {found['slices']} slices, {found['megabytes']} MB; medians, seconds.",
        "",
        "| stage | " + " | ".join(f"{case} ({each['number']})" for case, each in cases.items()),
        "|---|" + "--:|" * len(cases),
    ]
    lines[-2] += " |"
    stages = list(next(iter(cases.values()))["stages"])
    for stage in stages:
        cells = []
        for each in cases.values():
            row = each["stages"][stage]
            cells.append(f"{row['median']:.2f} ({row['least']:.2f} to {row['most']:.2f})")
        name = "**total**" if stage == "total" else stage
        meaning = STAGES.get(stage)
        lines.append(f"| {name}{f': {meaning}' if meaning else ''} | {' | '.join(cells)} |")
    return lines

"""How soon a study becomes a job, and whether ever too soon: a real sender, listener and sweep.

::

    python -m benchmarks.completion --out benchmarks/results/completion.json

First the delay: from the last C-STORE response to the job, of studies that come on one
association, by a sender that is not known yet and by one that is. Then what comes too early:
studies whose images come in random order on one to four associations, partly side by side, with
pauses between them and on them, of one or two series, half of them with a slice that comes last or
never. A study is too early if evidence completed it although an image was still to come; what quiet
completes does not count. Last, for the size of what remains, a sender that is known to make no
pauses begins to.
"""

import argparse
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from benchmarks.inference_report import describe_machine
from config import log
from node.evidence import KNOWN_AFTER_STUDIES
from tests.support.completing import Completing, completing
from tests.support.ct_series import head_series, stack, uid
from tests.support.sender import calling
from tests.support.waiting import eventually

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
NUM_SLICES, SPACING_MM, SIZE = 30, 5.0, 64
LONGEST_PAUSE_SECONDS = 2.0
SENDERS = 4
QUIET = {"quiet_after_release_seconds": 20.0, "quiet_without_release_seconds": 60.0}
BY_QUIET = ("association ended, and quiet since", "quiet", "deadline")


@dataclass(frozen=True)
class Sent:
    """A study as it was sent.

    Attributes
    ----------
    study_instance_uid, calling_ae_title
        Which, and by whom.
    num_images
        Sent in all.
    num_associations
        On how many.
    last_response_at
        When the last C-STORE was answered.
    """

    study_instance_uid: str
    calling_ae_title: str
    num_images: int
    num_associations: int
    last_response_at: datetime


class Templates:
    """Heads to send: made once, each time under other UIDs."""

    def __init__(self) -> None:
        heights = [SPACING_MM * index for index in range(NUM_SLICES)]
        grid = stack(heights, size=SIZE, pixel_mm=3.6)
        self._images = head_series(grid)

    def study(self, name: str, *, num_series: int = 1) -> list[list[Dataset]]:
        """Copy the head for each series of a new study."""
        return [self._series(name, number) for number in range(num_series)]

    def _series(self, name: str, number: int) -> list[Dataset]:
        copies = []
        for index, image in enumerate(self._images):
            copy = deepcopy(image)
            copy.PatientID = f"SYN-{name}"
            copy.StudyInstanceUID = uid(name, "study")
            copy.SeriesInstanceUID = uid(name, number, "series")
            copy.SOPInstanceUID = uid(name, number, index)
            copy.SeriesNumber = number + 2
            copies.append(copy)
        return copies


def send(
    node: Completing,
    images: Sequence[Dataset],
    *,
    ae_title: str,
    pause: Callable[[], float] = lambda: 0.0,
) -> datetime:
    """Send images on one association; when the last one was answered."""
    last = datetime.now(UTC)
    with calling(node.peer, [CT_IMAGE], ae_title=ae_title) as association:
        for image in images:
            time.sleep(pause())
            status = association.send_c_store(image).Status
            last = datetime.now(UTC)
            assert status == 0, f"0x{status:04X}"  # noqa: S101
    return last


def send_at_once(node: Completing, templates: Templates, name: str, ae_title: str) -> Sent:
    """Send a study as most do: one association, in order."""
    images = [image for series in templates.study(name) for image in series]
    last = send(node, images, ae_title=ae_title)
    return Sent(str(images[0].StudyInstanceUID), ae_title, len(images), 1, last)


def send_in_parts(
    node: Completing, templates: Templates, name: str, ae_title: str, rng: random.Random
) -> Sent:
    """Send a study in random order and parts, with pauses, perhaps without a slice."""
    series = templates.study(name, num_series=rng.choice((1, 1, 2)))
    images = [image for each in series for image in each]
    late: list[Dataset] = []
    if rng.random() < 0.5:
        # the ends are the hard ones: nothing shows that they are missing
        place = rng.choice((0, NUM_SLICES - 1, rng.randrange(NUM_SLICES)))
        missing = images.pop(place)
        late = [missing] * (rng.random() < 0.5)
    parts = _parts(images, len(series), rng)
    parts += [late] if late else []
    lasts: list[datetime] = []

    def send_part(part: Sequence[Dataset]) -> None:
        places = set(rng.sample(range(len(part)), k=min(rng.randrange(3), len(part))))
        waits = iter([rng.uniform(0, 0.7) if n in places else 0.0 for n in range(len(part))])
        lasts.append(send(node, part, ae_title=ae_title, pause=lambda: next(waits)))

    side_by_side = rng.random() < 0.3
    threads = [threading.Thread(target=send_part, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
        if not side_by_side:
            thread.join()
            time.sleep(rng.uniform(0, LONGEST_PAUSE_SECONDS) if thread is not threads[-1] else 0)
    for thread in threads:
        thread.join()
    number = sum(map(len, parts))
    return Sent(str(images[0].StudyInstanceUID), ae_title, number, len(parts), max(lasts))


def _parts(images: list[Dataset], num_series: int, rng: random.Random) -> list[list[Dataset]]:
    """Deal images out to associations: by series, in order, or in random order."""
    num_parts = rng.randrange(1, 5)
    kind = rng.choice(("series", "order", "random"))
    if kind == "series":
        uids = sorted({str(image.SeriesInstanceUID) for image in images})
        return [[i for i in images if i.SeriesInstanceUID == each] for each in uids[:num_series]]
    if kind == "random":
        rng.shuffle(images)
    cuts = sorted(rng.sample(range(1, len(images)), k=num_parts - 1))
    return [images[a:b] for a, b in zip([0, *cuts], [*cuts, len(images)], strict=True)]


def delay_seconds(node: Completing, sent: Sent) -> float:
    """From the last response to the job."""
    job = eventually(lambda: node.jobs(sent.study_instance_uid), seconds=120)[0]
    return (job.created_at - sent.last_response_at).total_seconds()


@dataclass(frozen=True)
class Outcome:
    """What became of many studies.

    Attributes
    ----------
    num_studies, by_evidence
        How many, and how many of them evidence completed.
    too_early
        Of those: completed while an image was still to come.
    median_seconds, p95_seconds
        From the last response to the job.
    """

    num_studies: int
    by_evidence: int
    too_early: int
    median_seconds: float
    p95_seconds: float


def outcome_of(node: Completing, studies: Sequence[Sent]) -> Outcome:
    """Wait for the jobs of studies, and say how soon they came."""
    delays, by_evidence, too_early = [], 0, 0
    for sent in studies:
        delays.append(delay_seconds(node, sent))
        complete = node.completed(sent.study_instance_uid)
        if complete.evidence in BY_QUIET:
            continue
        by_evidence += 1
        too_early += len(complete.instances) < sent.num_images
    return Outcome(
        num_studies=len(studies),
        by_evidence=by_evidence,
        too_early=too_early,
        median_seconds=float(np.median(delays)),
        p95_seconds=float(np.percentile(delays, 95)),
    )


def measure_delay(node: Completing, templates: Templates, num: int) -> dict[str, Outcome]:
    """Send studies that come at once: first the sender is not known, then it is."""
    outcomes = {}
    for case, number in (("unknown sender", KNOWN_AFTER_STUDIES), ("known sender", num)):
        studies = []
        for index in range(number):
            sent = send_at_once(node, templates, f"{case} {index}", "CT1")
            studies.append(sent)
            if case == "known sender":
                delay_seconds(node, sent)
        outcomes[case] = outcome_of(node, studies)
    return outcomes


def measure_parts(
    node: Completing, templates: Templates, num: int, *, seed: int, ae_title: str, case: str
) -> list[Sent]:
    """Send studies in parts, one after the other."""
    rng = random.Random(f"{seed} {ae_title}")  # noqa: S311 - a test's chance
    studies = []
    for index in range(num):
        studies.append(send_in_parts(node, templates, f"{case} {ae_title} {index}", ae_title, rng))
        time.sleep(rng.uniform(0, 1))
    return studies


def measure_random(node: Completing, templates: Templates, num: int, seed: int) -> Outcome:
    """Send studies in parts by several senders side by side."""
    studies: list[Sent] = []

    def work(ae_title: str) -> None:
        studies.extend(
            measure_parts(
                node, templates, num // SENDERS, seed=seed, ae_title=ae_title, case="parts"
            )
        )

    threads = [threading.Thread(target=work, args=(f"PART{number}",)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcome_of(node, studies)


def report(cases: dict[str, Outcome]) -> str:
    """Write the table."""
    lines = [
        "| studies | number | by evidence | too early | median s | p95 s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {o.num_studies} | {o.by_evidence} | {o.too_early} | "
        f"{o.median_seconds:.2f} | {o.p95_seconds:.2f} |"
        for name, o in cases.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print JSON and a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=50, help="studies of the delay")
    parser.add_argument("--num-parts", type=int, default=200, help="studies in parts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file of results, JSON")
    options = parser.parse_args()
    log.configure(level="ERROR")
    templates = Templates()
    with (
        tempfile.TemporaryDirectory() as folder,
        completing(Path(folder), completion=QUIET) as node,
    ):
        cases = measure_delay(node, templates, options.num)
        cases["in parts"] = measure_random(node, templates, options.num_parts, options.seed)
        changed = measure_parts(
            node, templates, options.num, seed=options.seed, ae_title="CT1", case="changed"
        )
        cases["in parts by a sender known for none"] = outcome_of(node, changed)
    described = {
        "benchmark": "completion",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("midline"),
        "machine": asdict(describe_machine()),
        "seed": options.seed,
        "images_per_series": NUM_SLICES,
        "cases": {name: asdict(outcome) for name, outcome in cases.items()},
    }
    text = json.dumps(described, indent=2)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    print(report(cases))


if __name__ == "__main__":
    main()

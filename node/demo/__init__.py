"""The main job, to be seen: a node, a small PACS, three synthetic studies, their reports.

Everything goes the way it goes in a hospital: the studies are sent by C-STORE, the node finds out
by itself when they are complete, and what is shown is read from what the PACS received.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import MidlineError
from ml.volume import Subtype
from node.demo import page, received, site
from node.demo.pacs import REPORT, SEGMENTATION, Arrival, Pacs, running_pacs
from node.demo.received import Answer
from node.demo.studies import FIRST_UNSEEN_SEED, SyntheticHead, SyntheticStudy, write_study
from node.peers import associated, contexts_for, read_store_file, send_file
from node.status import StoreStatus

RESULT_SECONDS = 180.0
"""How long all reports together may take after the last image."""
LOOK_SECONDS = 1.0
HEADS = (
    SyntheticHead(
        "Bleeding in the brain and its ventricles",
        FIRST_UNSEEN_SEED + 6,
        (Subtype.IPH, Subtype.IVH),
        localizer=True,
    ),
    SyntheticHead("Subdural bleeding", FIRST_UNSEEN_SEED + 4, (Subtype.SDH,)),
    SyntheticHead("Head without haemorrhage", FIRST_UNSEEN_SEED + 7, ()),
)
"""Chosen to show both outcomes, not to measure anything."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Demonstration:
    """What the demo did.

    Attributes
    ----------
    folder, page
        Where everything lies, and the page to open.
    answers
        One for each study whose report arrived.
    faults
        What is missing or not as the heads were made; empty if all is well.
    """

    folder: Path
    page: Path
    answers: tuple[Answer, ...]
    faults: tuple[str, ...]


def run(folder: Path, *, tell: Tell) -> Demonstration:
    """Run the demo.

    Parameters
    ----------
    folder
        Gets everything; an earlier demo in it is deleted.
    tell
        Called with what is being done.

    Raises
    ------
    UsageError
        If the folder holds something else than a demo.
    MidlineError
        If the node does not run.
    """
    site.claim(folder)
    with running_pacs(folder / "pacs") as pacs:
        config = site.write_settings(folder, destination=pacs.peer)
        with site.running_node(config) as node:
            studies = _make_studies(folder, tell)
            tell("waiting for the node")
            site.wait_until_ready(node)
            sent_at = [_send(study, node, tell) for study in studies]
            _wait_for_reports(studies, pacs, node, tell)
            tell("ending the node")
        arrivals = pacs.arrivals
    tell("drawing what the PACS received")
    answers = _answers(studies, sent_at, arrivals)
    missing = {study.head.title for study in studies} - {a.study.head.title for a in answers}
    faults = [f"{title}: no report arrived; {node.log} says why" for title in sorted(missing)]
    faults += [f"{answer.study.head.title}: {answer.fault}" for answer in answers if answer.fault]
    index = page.write(folder, answers, faults)
    return Demonstration(folder, index, tuple(answers), tuple(faults))


def _make_studies(folder: Path, tell: Tell) -> list[SyntheticStudy]:
    studies = []
    for number, head in enumerate(HEADS, start=1):
        tell(f"making study {number} of {len(HEADS)}")
        studies.append(write_study(folder / "studies" / f"study{number:02d}", head))
    return studies


def _send(study: SyntheticStudy, node: site.DemoNode, tell: Tell) -> float:
    """Send all images of a study; when the last one was accepted, by `time.monotonic`."""
    tell(f"sending {len(study.images)} images: {study.head.title.lower()}")
    files = [read_store_file(path) for path in study.images]
    with associated(
        node.peer,
        contexts_for(files),
        caller=site.CALLER,
    ) as association:
        for file in files:
            status = send_file(association, file, peer=node.peer)
            if status != StoreStatus.SUCCESS:
                raise MidlineError(f"the node answered 0x{status:04X} to an image; see {node.log}")
        return time.monotonic()


def _wait_for_reports(
    studies: Sequence[SyntheticStudy], pacs: Pacs, node: site.DemoNode, tell: Tell
) -> None:
    """Wait until each study has its report, or until it took too long."""
    until = time.monotonic() + RESULT_SECONDS
    wanted = {study.study_instance_uid for study in studies}

    def reported() -> set[str]:
        return {a.study_instance_uid for a in pacs.arrivals if a.sop_class_uid == REPORT}

    while not wanted <= reported() and time.monotonic() < until:
        tell(f"waiting for reports: {len(wanted & reported())} of {len(wanted)} arrived")
        pacs.wait(lambda: wanted <= reported(), seconds=LOOK_SECONDS)
        node.check()


def _answers(
    studies: Sequence[SyntheticStudy], sent_at: Sequence[float], arrivals: Sequence[Arrival]
) -> list[Answer]:
    """Put the last report and segmentation of each study beside what was sent."""
    answers = []
    for study, sent_seconds in zip(studies, sent_at, strict=True):
        own = [a for a in arrivals if a.study_instance_uid == study.study_instance_uid]
        last = {arrival.sop_class_uid: arrival for arrival in own}
        if REPORT in last:
            segmentation = last.get(SEGMENTATION)
            answer = received.read_answer(
                study,
                last[REPORT].path,
                None if segmentation is None else segmentation.path,
                seconds=last[REPORT].at_seconds - sent_seconds,
            )
            answers.append(answer)
    return answers

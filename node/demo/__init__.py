"""The main job, to be seen: a node, a small PACS, three synthetic studies, their reports.

Everything goes the way it goes in a hospital: the studies are sent by C-STORE, the node finds out
by itself when they are complete, and what is shown is read from what the PACS received. Where
Orthanc and OHIF are installed, they can be the PACS and its viewer.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from config.errors import MidlineError
from ml.volume import Subtype
from node.demo import page, received, site
from node.demo.pacs import REPORT, SEGMENTATION, Arrival, running_pacs
from node.demo.received import Answer
from node.demo.studies import FIRST_UNSEEN_SEED, SyntheticHead, SyntheticStudy, write_study
from node.demo.viewer import Tools, Viewer, running_viewer
from node.peers import Peer, associated, contexts_for, read_store_file, send_file
from node.status import StoreStatus

RESULT_SECONDS = 180.0
"""How long all reports together may take after the last image."""
LOOK_SECONDS = 0.2
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


@dataclass(frozen=True)
class Showing:
    """A demo that can be looked at in a viewer while it runs.

    Attributes
    ----------
    viewer, node
        What runs.
    studies
        What both were sent.
    faults
        What is missing; empty if all is well.
    """

    viewer: Viewer
    node: site.DemoNode
    studies: tuple[SyntheticStudy, ...]
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
            sent_at = [_send(study, node.peer, node.log, tell) for study in studies]
            _wait_for_reports(studies, node, tell, has_report=pacs.has_report)
            tell("ending the node")
        arrivals = pacs.arrivals
    tell("drawing what the PACS received")
    answers = _answers(studies, sent_at, arrivals)
    missing = {study.head.title for study in studies} - {a.study.head.title for a in answers}
    faults = [f"{title}: no report arrived; {node.log} says why" for title in sorted(missing)]
    faults += [f"{answer.study.head.title}: {answer.fault}" for answer in answers if answer.fault]
    index = page.write(folder, answers, faults)
    return Demonstration(folder, index, tuple(answers), tuple(faults))


@contextmanager
def showing(folder: Path, tools: Tools, *, tell: Tell) -> Iterator[Showing]:
    """Run the demo with Orthanc as the PACS and OHIF before it; all ends with the block.

    The studies are sent to the PACS and to the node, as a scanner does.

    Parameters
    ----------
    folder
        Gets everything; an earlier demo in it is deleted.
    tools
        Where the programs are.
    tell
        Called with what is being done.

    Raises
    ------
    UsageError
        If the folder holds something else than a demo.
    MidlineError
        If something does not run.
    """
    site.claim(folder)
    # a viewer opens the first series, and a localizer is black in the window of a brain
    heads = [replace(head, localizer=False) for head in HEADS]
    caller = Peer(site.AE_TITLE, "127.0.0.1", site.free_port())
    with running_viewer(folder / "viewer", tools, node=caller) as viewer:
        config = site.write_settings(folder, destination=viewer.pacs, port=caller.port)
        with site.running_node(config) as node:
            studies = _make_studies(folder, tell, heads)
            tell("waiting for the node")
            site.wait_until_ready(node)
            for study in studies:
                _send(study, viewer.pacs, viewer.log, tell)
                _send(study, node.peer, node.log, tell)
            _wait_for_reports(studies, node, tell, has_report=viewer.has_report)
            faults = [
                f"{study.head.title}: no report arrived; {node.log} says why"
                for study in studies
                if not viewer.has_report(study.study_instance_uid)
            ]
            yield Showing(viewer, node, tuple(studies), tuple(faults))


def _make_studies(
    folder: Path, tell: Tell, heads: Sequence[SyntheticHead] = HEADS
) -> list[SyntheticStudy]:
    studies = []
    for number, head in enumerate(heads, start=1):
        tell(f"making study {number} of {len(heads)}")
        studies.append(write_study(folder / "studies" / f"study{number:02d}", head))
    return studies


def _send(study: SyntheticStudy, peer: Peer, log: Path, tell: Tell) -> float:
    """Send all images of a study; when the last one was accepted, by `time.monotonic`."""
    tell(f"sending {len(study.images)} images to {peer.ae_title}: {study.head.title.lower()}")
    files = [read_store_file(path) for path in study.images]
    with associated(peer, contexts_for(files), caller=site.CALLER) as association:
        for file in files:
            status = send_file(association, file, peer=peer)
            if status != StoreStatus.SUCCESS:
                raise MidlineError(
                    f"{peer.ae_title} answered 0x{status:04X} to an image; {log} says why"
                )
        return time.monotonic()


def _wait_for_reports(
    studies: Sequence[SyntheticStudy],
    node: site.DemoNode,
    tell: Tell,
    *,
    has_report: Callable[[str], bool],
) -> None:
    """Wait until each study has its report, or until it took too long."""
    until = time.monotonic() + RESULT_SECONDS
    waiting = {study.study_instance_uid for study in studies}
    while waiting and time.monotonic() < until:
        tell(f"waiting for reports: {len(studies) - len(waiting)} of {len(studies)} arrived")
        time.sleep(LOOK_SECONDS)
        waiting = {uid for uid in waiting if not has_report(uid)}
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

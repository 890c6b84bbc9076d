"""How many images a second the node receives, beside DCMTK's storescp and Orthanc.

The same images go in turn to each receiver, sent by DCMTK's storescu, each time under other UIDs;
the order rotates, so that what else the machine does hits all alike. A rate counts from the first
C-STORE request to the last response, over all associations; setting them up is told apart. Nagle's
algorithm is switched off or left on (TCP_NODELAY) in the sender, and in DCMTK and Orthanc as
receivers; the node always has it off.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import copies, dcmtk
from benchmarks.progress import Tell, silent
from benchmarks.sites import running_site
from node.peers import Peer

TITLE = "Receiving"
IMAGES_OF_A_STUDY = 100
WARM_UP_IMAGES = 20
SETTLE_SECONDS = 0.5
REFERENCES = ("storescp", "orthanc")


@dataclass
class Case:
    """One receiver with one kind of sender, over all rounds."""

    receiver: str
    receiver_nodelay: bool
    associations: int
    sender_nodelay: bool
    rates: list[float] = field(default_factory=list)
    setup_ms: list[float] = field(default_factory=list)

    def add(self, done: dcmtk.Transfer) -> None:
        """Note a round."""
        self.rates.append(done.per_second)
        self.setup_ms.append(1000 * done.setup_seconds)


def num_steps(*, rounds: int, associations: Sequence[int] = (1, 4)) -> int:
    """Count the transfers of all rounds: of five receivers, with and without delay."""
    return rounds * len(associations) * 2 * (1 + 2 * len(REFERENCES))


def measure(
    *,
    images: int = 1000,
    rounds: int = 5,
    associations: Sequence[int] = (1, 4),
    tell: Tell = silent,
) -> dict[str, object]:
    """Send to all receivers, round by round.

    Parameters
    ----------
    images
        In each transfer, of 0.5 MB each.
    rounds
        Transfers of each case; medians are of these.
    associations
        How many side by side.
    tell
        Is told of each transfer.
    """
    template = copies.large_images(min(images, IMAGES_OF_A_STUDY))
    cases: dict[tuple[object, ...], Case] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        for turn in range(rounds):
            with contextlib.ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=name)))
                receivers = stack.enter_context(_receivers(folder, missing))
                for receiver in receivers:
                    _transfer(template, WARM_UP_IMAGES, 1, receivers[receiver], folder)
                settings = [(count, nodelay) for count in associations for nodelay in (True, False)]
                for count, nodelay in settings:
                    for each in _rotated(list(receivers), turn):
                        tell(f"{_words(each)}, {count} association(s), round {turn + 1}")
                        case = cases.setdefault((each, count, nodelay), Case(*each, count, nodelay))
                        done = _transfer(
                            template, images, count, receivers[each], folder, nodelay=nodelay
                        )
                        case.add(done)
    megabytes = template.num_bytes / len(template.files) / 1e6
    return {
        "images": images,
        "megabytes_each": round(megabytes, 3),
        "rounds": rounds,
        "missing": missing,
        "cases": [_summary(case, list(cases.values())) for case in cases.values()],
    }


def _rotated(receivers: list[tuple[str, bool]], turn: int) -> list[tuple[str, bool]]:
    first = turn % len(receivers)
    return receivers[first:] + receivers[:first]


@contextmanager
def _receivers(folder: Path, missing: dict[str, str]) -> Iterator[dict[tuple[str, bool], Peer]]:
    """Run all receivers, new and empty; what is not installed is left out."""
    with contextlib.ExitStack() as stack:
        site = stack.enter_context(running_site(folder / "node", "listen"))
        running = {("node", True): site.peer}
        for nodelay in (True, False):
            try:
                peer = stack.enter_context(
                    dcmtk.storescp(folder / f"storescp-{nodelay}", nodelay=nodelay)
                )
                running["storescp", nodelay] = peer
            except dcmtk.MissingError as error:
                missing["storescp"] = str(error)
            try:
                peer = stack.enter_context(
                    dcmtk.orthanc(f"measured-{int(nodelay)}", nodelay=nodelay)
                )
                running["orthanc", nodelay] = peer
            except dcmtk.MissingError as error:
                missing["orthanc"] = str(error)
        yield running


def _transfer(
    template: copies.Template,
    num: int,
    associations: int,
    to: Peer,
    folder: Path,
    *,
    nodelay: bool = True,
) -> dcmtk.Transfer:
    """Send so many images that no receiver has seen."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        paths: list[Path] = []
        while len(paths) < num:
            token = copies.new_token()
            paths += template.write(Path(name) / token, token)
        # what was written stays in memory, and must not be on its way to the disk any more
        time.sleep(SETTLE_SECONDS)
        return dcmtk.send(copies.dealt(paths[:num], associations), to, nodelay=nodelay)


def _summary(case: Case, cases: Sequence[Case]) -> dict[str, object]:
    """Describe a case in numbers; the ratio is of the node to this receiver."""
    node = next(
        each
        for each in cases
        if each.receiver == "node"
        and each.associations == case.associations
        and each.sender_nodelay == case.sender_nodelay
    )
    ratios = [ours / theirs for ours, theirs in zip(node.rates, case.rates, strict=True)]
    return {
        "receiver": case.receiver,
        "receiver_nodelay": case.receiver_nodelay,
        "associations": case.associations,
        "sender_nodelay": case.sender_nodelay,
        "rates": [round(rate, 1) for rate in case.rates],
        "median_rate": round(statistics.median(case.rates), 1),
        "setup_ms": round(statistics.median(case.setup_ms), 2),
        "node_to_this": round(statistics.median(ratios), 2),
    }


def _words(receiver: tuple[str, bool]) -> str:
    name, nodelay = receiver
    return name if nodelay else f"{name} with delay"


def table(found: Mapping[str, Any]) -> list[str]:
    """Write what was found as a table."""
    lines = [
        (
            f"{found['images']} images of {found['megabytes_each']} MB in each transfer, medians "
            f"of {found['rounds']} rounds. Ratio: median over the rounds of node / receiver."
        ),
        "",
        (
            "| associations | sender's TCP_NODELAY | receiver | images/s | least to most "
            "| set-up, ms | node is so many times as fast |"
        ),
        "|--:|---|---|--:|---|--:|--:|",
    ]
    cases = found["cases"]
    for case in cases:
        name = _words((case["receiver"], case["receiver_nodelay"]))
        ratio = "" if case["receiver"] == "node" else f"{case['node_to_this']:.2f}"
        lines.append(
            f"| {case['associations']} | {'on' if case['sender_nodelay'] else 'off'} | {name} "
            f"| {case['median_rate']:.0f} | {min(case['rates']):.0f} to {max(case['rates']):.0f} "
            f"| {case['setup_ms']:.1f} | {ratio} |"
        )
    missing = found["missing"]
    lines += [f"\nNot measured: {name}, since {why}." for name, why in missing.items()]
    return lines

"""How fast results are sent, beside DCMTK's storescu and dcmsend to the same receiver.

The same objects go in turn to one DCMTK storescp: CT images on one association, and the results of
one study on an association of their own, as the deliverer sends them. The node's sender runs in a
process of its own, as the others do; each time counts from the association's request to the last
response, without the start of a process. Last, the whole deliverer: a queue of finished studies is
sent by ``midline deliver``, with its bookkeeping.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import copies, dcmtk
from benchmarks.progress import Tell, silent
from benchmarks.sites import ROOT, running_site
from node.peers import Caller, Peer, Timeouts, read_store_file
from node.sending import Parcel, send_by_dimse

TITLE = "Delivering"
TIMEOUTS = Timeouts(connection_seconds=5, acse_seconds=30, dimse_seconds=60, network_seconds=60)
SENDERS = ("node", "storescu", "dcmsend")
KINDS = {"images": "CT images on one association", "results": "results of a study"}
MOST_SECONDS = 3600.0


def num_steps(*, rounds: int) -> int:
    """Count the transfers of all rounds, and the two steps of the whole deliverer."""
    return rounds * len(KINDS) * len(SENDERS) + 2


def measure(
    *, images: int = 200, rounds: int = 5, studies: int = 100, tell: Tell = silent
) -> dict[str, object]:
    """Send by all senders, round by round; then deliver a queue of studies.

    Parameters
    ----------
    images
        On one association.
    rounds
        Transfers of each kind by each sender.
    studies
        Tiny ones in the deliverer's queue.
    tell
        Is told of each transfer.
    """
    seconds: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = {"images": _images(folder / "images", images), "results": _results(folder)}
        with dcmtk.storescp(folder / "received") as peer:
            for turn in range(rounds):
                for kind, paths in objects.items():
                    for sender in (*SENDERS[turn % 3 :], *SENDERS[: turn % 3]):
                        tell(f"{sender}, {KINDS[kind]}, round {turn + 1}")
                        seconds.setdefault((kind, sender), []).append(_sent(sender, paths, peer))
            whole = _deliver_queue(folder / "site", peer, studies, tell)
        sizes = {kind: sum(path.stat().st_size for path in each) for kind, each in objects.items()}
    return {
        "rounds": rounds,
        "objects": {kind: len(paths) for kind, paths in objects.items()},
        "megabytes": {kind: round(size / 1e6, 2) for kind, size in sizes.items()},
        "cases": [
            {
                "kind": kind,
                "sender": sender,
                "seconds": [round(value, 4) for value in values],
                "median_seconds": round(statistics.median(values), 4),
                "objects_per_second": round(len(objects[kind]) / statistics.median(values), 1),
                "node_to_this": round(
                    statistics.median(
                        theirs / ours
                        for ours, theirs in zip(seconds[kind, "node"], values, strict=True)
                    ),
                    2,
                ),
            }
            for (kind, sender), values in seconds.items()
        ],
        "deliverer": whole,
    }


def _images(folder: Path, num: int) -> list[Path]:
    template = copies.large_images(min(num, 50))
    paths: list[Path] = []
    while len(paths) < num:
        token = copies.new_token()
        paths += template.write(folder / token, token)
    return paths[:num]


def _results(folder: Path) -> list[Path]:
    """Write the objects that the node sends for a head with a bleed."""
    copies.whole_head(folder / "made").write(folder / "head", copies.new_token())
    command = [sys.executable, "-m", "node.cli", "segment", str(folder / "head")]
    command += ["--out", str(folder / "results")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return sorted(path for path in (folder / "results").rglob("*.dcm"))


def _sent(sender: str, paths: Sequence[Path], peer: Peer) -> float:
    """Send once; seconds from the association's request to the last response."""
    if sender != "node":
        done = dcmtk.send([paths], peer, program=sender)
        return done.setup_seconds + done.seconds
    command = [sys.executable, "-m", "benchmarks.delivering", peer.ae_title, str(peer.port)]
    given = json.dumps([str(path) for path in paths])
    done_text = subprocess.run(
        command, cwd=ROOT, input=given, capture_output=True, text=True, check=True
    ).stdout
    return float(done_text)


def _deliver_queue(folder: Path, peer: Peer, studies: int, tell: Tell) -> dict[str, float]:
    """Have tiny studies analysed while nobody delivers; then deliver them all."""
    template = copies.tiny_head()
    with running_site(folder, "listen", "analyse", destination=peer) as site:
        tell(f"{studies} studies are analysed")
        for _ in range(studies):
            token = copies.new_token()
            dcmtk.send([template.write(folder / "sent", token)], site.peer)
        site.wait_until_analysed(studies, MOST_SECONDS)
        tell(f"{studies} studies are delivered")
        site.start("deliver")
        site.wait_until_sent(studies, MOST_SECONDS)
        with site.database.read() as transaction:
            sent = transaction.results.deliveries(limit=100 * studies)
    moments = sorted(each.sent_at.timestamp() for each in sent if each.sent_at is not None)
    seconds = moments[-1] - moments[0]
    return {
        "studies": studies,
        "objects": len(moments),
        "seconds": round(seconds, 3),
        "studies_per_second": round((studies - 1) / seconds, 2),
        "objects_per_second": round((len(moments) - 1) / seconds, 1),
    }


def table(found: Mapping[str, Any]) -> list[str]:
    """Write what was found as a table."""
    cases, sizes, numbers = found["cases"], found["megabytes"], found["objects"]
    lines = [
        (
            f"To one storescp, medians of {found['rounds']} rounds, TCP_NODELAY everywhere. Ratio: "
            "median over the rounds of the node's speed to this sender's."
        ),
        "",
        "| what | sender | seconds | objects/s | node is so many times as fast |",
        "|---|---|--:|--:|--:|",
    ]
    for case in cases:
        kind = case["kind"]
        what = f"{KINDS[kind]}: {numbers[kind]} objects, {sizes[kind]:.1f} MB"
        ratio = "" if case["sender"] == "node" else f"{case['node_to_this']:.2f}"
        lines.append(
            f"| {what} | {case['sender']} | {case['median_seconds']:.3f} "
            f"| {case['objects_per_second']:.0f} | {ratio} |"
        )
    whole = found["deliverer"]
    lines.append(
        f"| queue of {whole['studies']} tiny studies, {whole['objects']} objects | `midline "
        f"deliver` | {whole['seconds']:.2f} | {whole['objects_per_second']:.0f} | |"
    )
    return lines


def main() -> None:
    """Send the files named on standard input as a deliverer does, and tell the seconds."""
    parser = argparse.ArgumentParser(description="The node's sender, in a process of its own.")
    parser.add_argument("ae_title")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    files = [read_store_file(Path(path)) for path in json.load(sys.stdin)]
    parcels = [
        Parcel(number, "CT", file.sop_class_uid, "", file.path) for number, file in enumerate(files)
    ]
    begun = time.perf_counter()
    sent = send_by_dimse(
        parcels,
        Peer(options.ae_title, "127.0.0.1", options.port),
        caller=Caller("MIDLINE", TIMEOUTS),
        attempt=1,
        on_arrival=lambda _: None,
    )
    seconds = time.perf_counter() - begun
    if len(sent.arrived) < len(parcels):
        raise SystemExit(f"{len(sent.arrived)} of {len(parcels)} arrived: {sent.complaint}")
    print(seconds)


if __name__ == "__main__":
    main()

"""What the hosts of a test noted of their work, and what can be proved from it."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

LEDGER = "ledger"
"""Folder of the notes."""
SECONDS = "seconds"
"""File that says how long an analysis takes."""
ANALYSIS = ("segment", "encode", "record")


@dataclass(frozen=True, order=True)
class Note:
    """One mark of one life of one process, by the clock of the machine."""

    at: float
    host: str
    life: str
    job_id: int
    step: str
    mark: str


def notes(folder: Path) -> list[Note]:
    """Read all notes, in the order of time; the last line of whoever was killed may be torn."""
    found = []
    for path in (folder / LEDGER).glob("*.jsonl"):
        lines = path.read_text().split("\n")
        found += [Note(**json.loads(line)) for line in lines[:-1]]
    return sorted(found)


def overlaps(found: list[Note], steps: tuple[str, ...]) -> list[tuple[Note, Note]]:
    """Pairs of lives that worked on one job at the same time.

    A spell of work is from the beginning of a step to its end, or to the last note of whoever was
    killed in it: then it worked at least that long.
    """
    spells: dict[int, list[list[Note]]] = defaultdict(list)
    begun: dict[tuple[str, int, str], list[Note]] = {}
    for note in found:
        if note.step not in steps:
            continue
        key = (note.life, note.job_id, note.step)
        if note.mark == "begin":
            begun[key] = [note, note]
            spells[note.job_id].append(begun[key])
        else:
            begun[key][1] = note
    pairs = []
    for worked in spells.values():
        ordered = sorted(worked)
        for number, (_, last) in enumerate(ordered):
            later = ((first, last) for first, _ in ordered[number + 1 :] if first.at < last.at)
            pairs += [(last, first) for first, last in later if first.life != last.life]
    return pairs

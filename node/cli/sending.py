"""Sending a folder of DICOM files to a peer, over one or several associations."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import PeerError, PeerRefusedError, UnreadableInputError, UsageError
from node.hardening.bounds import MOST_CONTEXTS
from node.peers import (
    Caller,
    Peer,
    StoreFile,
    associated,
    contexts_for,
    read_store_file,
    send_file,
)
from node.status import StoreStatus

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
"""A DICOMDIR: a table of contents, and nothing that could be stored."""
NO_CONTEXT = "not accepted: no presentation context"
NOT_SENT = "not sent"


@dataclass
class Tally:
    """What became of the files of one call; several threads count.

    Attributes
    ----------
    answers
        Number of files by the peer's answer in words.
    num_stored
        Files that the peer holds now.
    problems
        What stopped an association before its end.
    """

    answers: Counter[str] = field(default_factory=Counter)
    num_stored: int = 0
    problems: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, answer: str, *, number: int = 1, stored: bool = False) -> None:
        """Count files with the same answer."""
        with self._lock:
            self.answers[answer] += number
            self.num_stored += number if stored else 0

    def stopped(self, problem: str, *, left: int) -> None:
        """Note why an association did not send all of its files."""
        with self._lock:
            self.problems.add(problem)
        self.count(NOT_SENT, number=left)


def parse_peer(text: str, *, tls: bool = False) -> Peer:
    """Read ``AET@host:port``.

    Parameters
    ----------
    tls
        Whether it speaks TLS.

    Raises
    ------
    UsageError
        If it has another form.
    """
    ae_title, at, address = text.rpartition("@")
    host, colon, port = address.rpartition(":")
    if not (at and colon and ae_title.strip() and host and port.isascii() and port.isdecimal()):
        raise UsageError(f"{text!r} is no peer: AET@host:port is needed, as PACS@10.0.0.5:104")
    if not 0 < int(port) < 1 << 16:
        raise UsageError(f"{text!r}: a port is a number from 1 to 65535")
    return Peer(ae_title, host.removeprefix("[").removesuffix("]"), int(port), tls=tls)


def find_files(folder: Path) -> tuple[StoreFile, ...]:
    """Find the DICOM files in a folder and below, by path; whatever else lies there is skipped.

    Raises
    ------
    UsageError
        If there is none, or a file cannot be opened.
    """
    paths = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.is_file())
    found = []
    for path in paths:
        try:
            file = read_store_file(path)
        except UnreadableInputError:
            continue
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror})") from error
        if file.sop_class_uid != MEDIA_DIRECTORY:
            found.append(file)
    if not found:
        raise UsageError(f"{folder} holds no DICOM file")
    return tuple(found)


def batches(files: Sequence[StoreFile]) -> tuple[tuple[StoreFile, ...], ...]:
    """Split files so that one association has contexts enough for each part (PS3.8 9.3.2.2)."""
    parts: list[list[StoreFile]] = []
    syntaxes: dict[str, set[str]] = defaultdict(set)
    for file in sorted(files, key=lambda each: (each.sop_class_uid, each.transfer_syntax_uid)):
        syntaxes[file.sop_class_uid].add(file.transfer_syntax_uid)
        # one context for each syntax, and one for each class with the plain syntaxes
        num_contexts = sum(1 + len(of_class) for of_class in syntaxes.values())
        if not parts or num_contexts > MOST_CONTEXTS:
            parts.append([])
            syntaxes = defaultdict(set, {file.sop_class_uid: {file.transfer_syntax_uid}})
        parts[-1].append(file)
    return tuple(map(tuple, parts))


def send_files(
    files: Sequence[StoreFile],
    peer: Peer,
    *,
    caller: Caller,
    associations: int = 1,
    sent: Callable[[], None] = lambda: None,
) -> Tally:
    """Store files on a peer.

    Parameters
    ----------
    files
        What to send.
    peer, caller
        To whom, and as whom.
    associations
        So many are open at the same time, each with its share of the files.
    sent
        Called after each file.
    """
    tally, given_up = Tally(), threading.Event()

    def send(part: Sequence[StoreFile]) -> None:
        done = 0
        try:
            with associated(peer, contexts_for(part), caller=caller) as association:
                for file in part:
                    if given_up.is_set():
                        break
                    try:
                        status = send_file(association, file, peer=peer)
                    except PeerRefusedError:
                        tally.count(NO_CONTEXT)
                    else:
                        tally.count(describe(status), stored=is_stored(status))
                    done += 1
                    sent()
        except PeerError as error:
            tally.stopped(str(error), left=len(part) - done)

    for batch in batches(files):
        parts = [part for k in range(associations) if (part := batch[k::associations])]
        with ThreadPoolExecutor(max_workers=associations) as pool:
            try:
                list(pool.map(send, parts))
            except KeyboardInterrupt:
                given_up.set()
                raise
    return tally


def is_stored(status: int) -> bool:
    """Whether the peer holds the object now: success, or a warning (PS3.4 Table B.2-1)."""
    return status in (StoreStatus.SUCCESS, 0x0001) or 0xB000 <= status <= 0xBFFF


def describe(status: int) -> str:
    """Name a status of C-STORE."""
    known = status in StoreStatus.__members__.values()
    name = StoreStatus(status).name.replace("_", " ").lower() if known else ""
    if not known and is_stored(status):
        name = "warning"
    return f"0x{status:04X} {name}".strip()

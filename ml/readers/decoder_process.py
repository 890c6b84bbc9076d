"""The decoder process: encoded frames in on standard input, stored values out, and nothing else.

``python -m ml.readers.decoder_process``, started and replaced by `isolation`. Codecs are C code
that foreign bytes can crash, hang or take over; so this process has bounds for memory and time,
writes no file, starts no program with other rights, and knows nothing but the frames it is given.

A message is a head in JSON and a body of raw bytes, each with its length before it. After the
greeting, each request has one answer::

    ─▶ {"number": 7, "transfer_syntax_uid": …, "rows": 512, …}  encoded frame
    ◀─ {"number": 7, "outcome": "DECODED", "dtype": "<u2"}      rows · columns values
    ◀─ {"number": 8, "outcome": "REFUSED" | "OUT_OF_MEMORY"}    nothing
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import BinaryIO

from pydicom.uid import UID

from ml.readers import codecs
from ml.readers.codecs import PixelFormat

LENGTHS = struct.Struct(">II")
"""Of head and body, bytes."""
MOST_HEAD_BYTES = 1024
GREETING: Mapping[str, object] = {"protocol": 1}
"""Head of the first message: codecs are loaded and limits are set."""

MOST_MEMORY_BYTES = 1 << 30
"""Address space. Interpreter and codecs take 0.2 GiB; the largest frame that is decoded has 8 MiB,
and a codec keeps a few copies of it in wider numbers."""
SECONDS_FOR_A_FRAME = 60.0
"""The largest frame takes the slowest codec about a second; a busy machine may be ten times slower.
The parent waits so long; the process ends itself a little later, should the parent be gone."""
OWN_SECONDS = int(SECONDS_FOR_A_FRAME) + 10
MOST_OPEN_FILES = 16
"""Codecs are loaded before the limit is set, and have nothing to open afterwards."""

_PR_SET_NO_NEW_PRIVS = 38


class Outcome(StrEnum):
    """What became of a frame."""

    DECODED = "DECODED"
    REFUSED = "REFUSED"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"


def main() -> None:
    """Answer requests until standard input ends: the parent closed it, or is gone."""
    answers = _own_standard_output()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # a stop goes to all processes of a service at once, and the frame in work is wanted still
        signal.signal(number, signal.SIG_IGN)
    codecs.available_syntaxes()
    confine()
    send(answers, GREETING, b"")
    while request := receive(sys.stdin.buffer):
        _limit_time()
        head, frame = request
        send(answers, *_answer(head, frame))
        signal.setitimer(signal.ITIMER_REAL, 0)


def confine() -> None:
    """Give up what decoding does not need; time is limited anew for each frame."""
    for limit, most in (
        (resource.RLIMIT_AS, MOST_MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),  # a core dump would hold pixels of a patient
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MOST_OPEN_FILES),
    ):
        hard = resource.getrlimit(limit)[1]
        lowest = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (lowest, lowest))
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def send(stream: BinaryIO, head: Mapping[str, object], body: bytes) -> None:
    """Write a message."""
    encoded = json.dumps(head).encode()
    stream.write(LENGTHS.pack(len(encoded), len(body)) + encoded)
    stream.write(body)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, object], bytes] | None:
    """Read a message; None at the end of the stream."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head_bytes, body_bytes = LENGTHS.unpack(lengths)
    head = stream.read(head_bytes)
    body = stream.read(body_bytes)
    return (json.loads(head), body) if len(body) == body_bytes else None


def head_of(number: int, stored: PixelFormat) -> dict[str, object]:
    """Head of a request for one frame."""
    return {
        "number": number,
        "transfer_syntax_uid": str(stored.transfer_syntax_uid),
        "rows": stored.rows,
        "columns": stored.columns,
        "bits_allocated": stored.bits_allocated,
        "bits_stored": stored.bits_stored,
        "is_signed": stored.is_signed,
    }


def _answer(head: Mapping[str, object], frame: bytes) -> tuple[dict[str, object], bytes]:
    values = {name: value for name, value in head.items() if name != "number"}
    syntax = UID(str(values.pop("transfer_syntax_uid")))
    stored = PixelFormat(transfer_syntax_uid=syntax, num_frames=1, **values)  # type: ignore[arg-type]
    answer = {"number": head["number"]}
    try:
        decoded = codecs.decode(frame, stored)
    except MemoryError:
        return {**answer, "outcome": Outcome.OUT_OF_MEMORY}, b""
    except Exception:  # noqa: BLE001 - codecs raise anything; their words may quote a patient
        return {**answer, "outcome": Outcome.REFUSED}, b""
    return {**answer, "outcome": Outcome.DECODED, "dtype": decoded.dtype.str}, decoded.tobytes()


def _limit_time() -> None:
    """End this process, by the kernel's hand, if one frame takes too long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = int(used.ru_utime + used.ru_stime) + OWN_SECONDS
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = cpu_seconds if hard == resource.RLIM_INFINITY else min(cpu_seconds, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    signal.setitimer(signal.ITIMER_REAL, OWN_SECONDS)


def _own_standard_output() -> BinaryIO:
    """Keep standard output for answers: what codecs print there must not run into them."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


if __name__ == "__main__":
    main()

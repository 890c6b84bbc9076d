"""A decoder process that is faulty in one way, given by name: for tests of the parent's side."""

import json
import os
import struct
import sys
import time
from collections.abc import Callable, Mapping

LENGTHS = struct.Struct(">II")


def say(head: object, body: bytes = b"", *, body_bytes: int | None = None) -> None:
    """Write a message, perhaps with another length than its body has."""
    encoded = json.dumps(head).encode()
    announced = len(body) if body_bytes is None else body_bytes
    sys.stdout.buffer.write(LENGTHS.pack(len(encoded), announced) + encoded + body)
    sys.stdout.buffer.flush()


def babble(body: bytes) -> None:
    """Write what is no message."""
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def eat_memory() -> None:
    """Take more than is allowed, within the limits of the real process."""
    from ml.readers.decoder_process import MOST_MEMORY_BYTES, confine

    confine()
    bytearray(MOST_MEMORY_BYTES)


def asked() -> tuple[dict[str, object], int]:
    """Read a request: the head of a right answer, and how many bytes that would have."""
    head_bytes, body_bytes = LENGTHS.unpack(sys.stdin.buffer.read(LENGTHS.size))
    head = json.loads(sys.stdin.buffer.read(head_bytes))
    sys.stdin.buffer.read(body_bytes)
    num_bytes = head["rows"] * head["columns"] * head["bits_allocated"] // 8
    return {"number": head["number"], "outcome": "DECODED", "dtype": "<u2"}, num_bytes


FAULTS: Mapping[str, Callable[[dict[str, object], int], object]] = {
    "aborts": lambda _right, _bytes: os.abort(),
    "ends": lambda _right, _bytes: sys.exit(3),
    "is killed": lambda _right, _bytes: os.kill(os.getpid(), 9),
    "hangs": lambda _right, _bytes: time.sleep(600),
    "eats memory": lambda _right, _bytes: eat_memory(),
    "answers by halves": lambda right, size: say(right, bytes(size // 2), body_bytes=size),
    "answers too long": lambda right, size: say(right, bytes(size + 2)),
    "answers too short": lambda right, size: say(right, bytes(size - 2)),
    "announces too much": lambda right, _size: say(right, body_bytes=(1 << 32) - 1),
    "answers in another type": lambda right, size: say({**right, "dtype": "<i2"}, bytes(size)),
    "answers another request": lambda right, size: say({**right, "number": 99}, bytes(size)),
    "lists": lambda right, _size: say([right]),
    "nests": lambda _right, _size: babble(LENGTHS.pack(1000, 0) + b"[" * 1000),
    "chatters": lambda _right, _size: babble(b"Corrupt JPEG data: Doe^Jane\n" * 9),
}
"""What it does when it is asked; the head of a right answer and its length are at hand."""


def misbehave(fault: str) -> None:
    """Fail as asked."""
    if fault == "never starts":
        sys.exit(1)
    say({"protocol": 2 if fault == "other version" else 1})
    if fault == "hangs unread":
        time.sleep(600)
    FAULTS[fault](*asked())
    sys.stdin.buffer.read()


if __name__ == "__main__":
    misbehave(sys.argv[1])

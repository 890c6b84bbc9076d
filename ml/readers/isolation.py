"""The parent's side of the decoder process: a fault of a codec costs one study, not the node.

One decoder process is kept for each process that decodes, and serves one frame at a time. It is
trusted with nothing: each answer has a deadline, is read no further than the values that were asked
for, and is checked before it is believed. After a fault, and also after a frame that was merely
refused, the process is killed and the next frame gets a fresh one: what foreign bytes did to it
reaches no other study.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from config.errors import ResourceError, UnreadableInputError
from ml.readers.codecs import PixelFormat
from ml.readers.decoder_process import (
    GREETING,
    LENGTHS,
    MOST_HEAD_BYTES,
    MOST_MEMORY_BYTES,
    SECONDS_FOR_A_FRAME,
    Outcome,
    head_of,
)

COMMAND = (sys.executable, "-P", "-B", "-m", "ml.readers.decoder_process")
SECONDS_TO_START = 60.0
"""It takes a third of a second; a busy machine may be much slower."""
SECONDS_TO_END = 5.0
"""A process ends a moment after its pipes."""


class Decoder:
    """A decoder process, started when it is needed and replaced after a fault.

    Parameters
    ----------
    command
        Starts a process that speaks the protocol of `decoder_process`.
    seconds
        Longest time for one frame.
    """

    def __init__(
        self, command: Sequence[str] = COMMAND, *, seconds: float = SECONDS_FOR_A_FRAME
    ) -> None:
        self._command, self._seconds = tuple(command), seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._lock = threading.Lock()

    def decode(self, frame: bytes, stored: PixelFormat) -> NDArray[np.integer]:
        """Decode one encoded frame.

        Returns
        -------
        NDArray
            Shape (Y, X), of `stored.dtype`.

        Raises
        ------
        UnreadableInputError
            If it cannot be decoded, or not within the limits, or if the process crashed on it.
        ResourceError
            If the process cannot be started, or was killed from outside.
        """
        with self._lock:
            try:
                self._start()
                values = self._ask(frame, stored)
            except BaseException:  # an interrupted exchange as well: its answer is still to come
                self._end()
                raise
        return values

    def close(self) -> None:
        """End the process; the next frame starts another."""
        with self._lock:
            self._end()

    def abandon(self) -> None:
        """Let go of the process without ending it: after a fork it is the parent's."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        try:
            self._process = subprocess.Popen(
                self._command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
                process_group=0,
            )
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
            head, _ = self._receive(time.monotonic() + SECONDS_TO_START, most_body_bytes=0)
        except (OSError, EOFError, ValueError) as error:
            raise ResourceError("the decoder process cannot be started") from error
        if head != GREETING:
            raise ResourceError("the decoder process is of another version")

    def _ask(self, frame: bytes, stored: PixelFormat) -> NDArray[np.integer]:
        self._number += 1
        head = json.dumps(head_of(self._number, stored)).encode()
        until = time.monotonic() + self._seconds
        try:
            self._send([LENGTHS.pack(len(head), len(frame)), head, frame], until)
            answer, body = self._receive(until, most_body_bytes=stored.frame_bytes)
        except TimeoutError as error:
            raise UnreadableInputError(
                f"a frame takes more than {self._seconds:g} s to decode"
            ) from error
        except EOFError as error:
            raise self._crash() from error
        except (ValueError, RecursionError) as error:
            raise UnreadableInputError("the decoder answered wrongly on a frame") from error
        match answer.get("number"), answer.get("outcome"), answer.get("dtype"):
            case self._number, Outcome.DECODED, stored.dtype.str if len(body) == stored.frame_bytes:
                return np.frombuffer(body, stored.dtype).reshape(stored.rows, stored.columns)
            case self._number, Outcome.REFUSED, _:
                raise UnreadableInputError("pixel data cannot be decoded")
            case self._number, Outcome.OUT_OF_MEMORY, _:
                raise UnreadableInputError(
                    f"a frame needs more than {MOST_MEMORY_BYTES} bytes of memory to be decoded"
                )
            case _:
                raise UnreadableInputError("the decoder answered wrongly on a frame")

    def _crash(self) -> UnreadableInputError | ResourceError:
        """Say how the process ended that closed its pipes."""
        code = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(SECONDS_TO_END)
        if code == -signal.SIGKILL:
            # no fault of a codec ends like this: the kernel was out of memory, or a person did it
            return ResourceError("the decoder process was killed from outside")
        if code is None:
            return UnreadableInputError("the decoder answered wrongly on a frame")
        ended = f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"code {code}"
        return UnreadableInputError(f"the decoder crashed on a frame: it ended with {ended}")

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self.abandon()
        self._process = None

    def _send(self, pieces: Iterable[bytes], until: float) -> None:
        pipe = self._process.stdin if self._process else None
        for piece in pieces:
            left = memoryview(piece)
            while left:
                descriptor = _ready(pipe, select.POLLOUT, until)
                try:
                    left = left[os.write(descriptor, left) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError as error:
                    raise EOFError from error

    def _receive(
        self, until: float, *, most_body_bytes: int
    ) -> tuple[dict[str, object], bytearray]:
        """Read a message, and no more than it may have; a ValueError if it is none."""
        head_bytes, body_bytes = LENGTHS.unpack(self._read(LENGTHS.size, until))
        if head_bytes > MOST_HEAD_BYTES or body_bytes > most_body_bytes:
            raise ValueError
        head = json.loads(self._read(head_bytes, until))
        if not isinstance(head, dict):
            raise ValueError  # noqa: TRY004 - the value is wrong that came
        return head, self._read(body_bytes, until)

    def _read(self, num_bytes: int, until: float) -> bytearray:
        pipe = self._process.stdout if self._process else None
        received = bytearray(num_bytes)
        left = memoryview(received)
        while left:
            num_read = os.readv(_ready(pipe, select.POLLIN, until), [left])
            if not num_read:
                raise EOFError
            left = left[num_read:]
        return received


def decode(frame: bytes, stored: PixelFormat) -> NDArray[np.integer]:
    """Decode one encoded frame in the decoder process of this process; see `Decoder.decode`."""
    return _own.decode(frame, stored)


def _ready(pipe: IO[bytes] | None, event: int, until: float) -> int:
    """Wait until a pipe can be read or written; its descriptor."""
    if pipe is None:
        raise EOFError
    watch = select.poll()
    watch.register(pipe, event)
    if not watch.poll(max(0.0, until - time.monotonic()) * 1000):
        raise TimeoutError
    return pipe.fileno()


def _environment() -> dict[str, str]:
    """Nothing of ours but where the code lies: secrets may be in the environment."""
    root = str(Path(__file__).resolve().parents[2])
    passed = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {
        **passed,
        "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)]),
        # one frame at a time: threads would cost address space only
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


_own = Decoder()


def _forget() -> None:
    """After a fork: two processes must not share one conversation."""
    global _own  # noqa: PLW0603 - the one process-wide value of this module
    _own.abandon()
    _own = Decoder()


def _close() -> None:
    _own.close()


os.register_at_fork(after_in_child=_forget)
atexit.register(_close)

"""A program in a terminal of its own (PTY), as a person has it."""

import os
import pty
import subprocess


class Terminal:
    """A program in a terminal, and what it has written there."""

    def __init__(self, *words: str) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"},
        )
        os.close(slave)
        self.written = ""

    def read(self) -> str:
        """Give all that was written so far."""
        try:
            while chunk := os.read(self._master, 65536):
                self.written += chunk.decode(errors="replace")
        except OSError:  # nothing more for now, or the program has ended
            pass
        return self.written

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

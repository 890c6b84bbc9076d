"""The life of child processes: started again when they die, ended with their parent."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from node.supervisor import SHORTEST_PAUSE_SECONDS, Child

WAIT_SECONDS = 60
WATCHES_ITS_PARENT = """
import threading
from node.supervisor import end_with_parent
stop = threading.Event()
end_with_parent(stop)
print("ready", flush=True)
stop.wait({seconds})
print("stopped" if stop.is_set() else "went on", flush=True)
"""


def child_that(does: str) -> Child:
    return Child("analyse", [sys.executable, "-c", does])


@pytest.fixture
def sleeper() -> Iterator[Child]:
    child = child_that("import time; time.sleep(600)")
    yield child
    child.end()
    child.wait(WAIT_SECONDS)


def test_a_child_that_lives_is_left_alone(sleeper: Child) -> None:
    sleeper.look(0.0)
    assert sleeper.process is not None
    pid = sleeper.process.pid
    sleeper.look(1.0)
    assert sleeper.process.pid == pid


def test_a_child_that_dies_is_started_again_after_growing_pauses() -> None:
    child, now, pauses = child_that("raise SystemExit(3)"), 0.0, []
    for _ in range(4):
        child.look(now)
        assert child.process is not None
        child.process.wait(WAIT_SECONDS)
        child.look(now)
        pauses.append(child.start_at - now)
        now = child.start_at
    child.end()
    child.wait(WAIT_SECONDS)
    assert pauses == [0.0, *(SHORTEST_PAUSE_SECONDS * 2**k for k in range(3))]


def test_a_child_that_lived_long_starts_again_at_once() -> None:
    child = child_that("raise SystemExit(3)")
    child.pause_seconds = 16.0
    child.look(0.0)
    assert child.process is not None
    child.process.wait(WAIT_SECONDS)
    child.look(3600.0)
    assert child.start_at == 3600.0


def test_a_child_ends_when_its_parent_does() -> None:
    code = WATCHES_ITS_PARENT.format(seconds=WAIT_SECONDS)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "ready\n"
        child.stdin.close()
        assert child.stdout.readline() == "stopped\n"
        assert child.wait(WAIT_SECONDS) == 0


def test_a_child_that_ends_before_its_parent_ends_in_good_order() -> None:
    code = WATCHES_ITS_PARENT.format(seconds=0.1)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.read() == "ready\nwent on\n"
        assert child.wait(WAIT_SECONDS) == 0

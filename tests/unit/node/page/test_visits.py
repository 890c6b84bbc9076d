"""What is read once serves all who ask, until its time is over or somebody changed something."""

import threading

import pytest

from node.page.visits import Notes, Remembered


def test_a_value_is_read_once_until_its_time_is_over() -> None:
    now, reads = [0.0], []
    held = Remembered[int](2.0, clock=lambda: now[0])

    def read() -> int:
        reads.append(now[0])
        return len(reads)

    assert [held.get(read), held.get(read)] == [1, 1]
    now[0] = 2.0
    assert held.get(read) == 2
    held.forget()
    assert held.get(read) == 3


def test_keys_do_not_wait_for_each_other() -> None:
    held, begun, go_on = Remembered[str](60.0), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(30)
        return "slow"

    thread = threading.Thread(target=held.get, args=(slow, "slow"))
    thread.start()
    assert begun.wait(30)
    assert held.get(lambda: "quick", "quick") == "quick"
    go_on.set()
    thread.join()
    assert held.get(lambda: "again", "slow") == "slow"


def test_a_failure_is_not_remembered() -> None:
    held = Remembered[int](60.0)
    with pytest.raises(ZeroDivisionError):
        held.get(lambda: 1 // 0)
    assert held.get(lambda: 7) == 7


def test_a_note_is_read_once_by_whom_it_is_for() -> None:
    notes = Notes()
    notes.leave("one", "done")
    assert notes.take("two") is None
    assert notes.take("one") == ("done", False)
    assert notes.take("one") is None

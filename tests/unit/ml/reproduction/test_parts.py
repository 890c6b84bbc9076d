"""Parts: each made once, whatever stops the run in between."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import UsageError
from ml.reproduction.parts import WORK, Before, Json, Part, Workshop

Make = Callable[[Path, Before], Json]


class Log:
    """Parts that note that they were made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def part(
        self, name: str, *needs: str, settings: Json = None, code: str = "1", result: Json = 0
    ) -> Part:
        def make(folder: Path, _before: Before) -> Json:
            self.made.append(name)
            (folder / "file.txt").write_text(f"{name} {settings} {result}")
            return result

        return Part(name, settings, code, make, needs)


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_finished_part_is_not_made_again(log: Log, tmp_path: Path) -> None:
    parts = [log.part("data"), log.part("train/a", "data", settings={"width": [1, 2]})]
    first = Workshop(tmp_path, parts).make()
    again = Workshop(tmp_path, parts).make()
    assert log.made == ["data", "train/a"]
    assert {name: made.digest for name, made in first.items()} == {
        name: made.digest for name, made in again.items()
    }
    assert again["train/a"].result == 0


@pytest.mark.parametrize("change", [{"settings": {"width": 2}}, {"code": "2"}])
def test_another_setting_or_other_code_is_made_and_the_first_is_kept(
    log: Log, tmp_path: Path, change: dict[str, Json]
) -> None:
    first = [log.part("data"), log.part("train/a", "data"), log.part("train/b", "data")]
    changed = [log.part("data"), log.part("train/a", "data", **change), first[2]]
    Workshop(tmp_path, first).make()
    Workshop(tmp_path, changed).make()
    Workshop(tmp_path, first).make()
    assert log.made == ["data", "train/a", "train/b", "train/a"]


def test_what_comes_after_is_made_again_only_if_what_came_before_changed(
    log: Log, tmp_path: Path
) -> None:
    Workshop(tmp_path, [log.part("data", result=1), log.part("train", "data")]).make()
    # other settings, another file: another digest
    Workshop(tmp_path, [log.part("data", settings=2, result=1), log.part("train", "data")]).make()
    assert log.made == ["data", "train"] * 2
    # other code that makes the same
    Workshop(tmp_path, [log.part("data", code="2", result=1), log.part("train", "data")]).make()
    assert log.made == ["data", "train"] * 2 + ["data"]


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from ml.reproduction.parts import Part, WORK, Workshop

out, dies = Path(sys.argv[1]), sys.argv[2] == "dies"

def note(folder, name):
    with (out / "log").open("a") as log:
        log.write(name + "\\n")

def first(folder, before):
    note(folder, "first")
    return 1

def second(folder, before):
    note(folder, "second")
    (folder / WORK).mkdir(exist_ok=True)
    step = folder / WORK / "step"
    found = step.read_text() if step.exists() else "nothing"
    step.write_text("step 7")
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

parts = [Part("first", {}, "", first), Part("second", {}, "", second, ("first",))]
print(Workshop(out, parts).make()["second"].result)
"""
    tmp_path.joinpath("out").mkdir()
    command = [sys.executable, "-c", program, str(tmp_path / "out")]
    killed = subprocess.run([*command, "dies"], check=False)
    assert killed.returncode == -signal.SIGKILL
    went_on = subprocess.run([*command, "lives"], check=True, capture_output=True, text=True)
    assert went_on.stdout.strip() == "step 7"
    assert (tmp_path / "out" / "log").read_text().split() == ["first", "second", "second"]


def test_a_part_that_fails_is_not_finished(log: Log, tmp_path: Path) -> None:
    def fail(_folder: Path, _before: Before) -> Json:
        raise UsageError("no heads")

    parts = [log.part("data"), Part("train", {}, "", fail, ("data",))]
    for _ in range(2):
        with pytest.raises(UsageError, match="no heads"):
            Workshop(tmp_path, parts).make()
    assert log.made == ["data"]
    assert list(Workshop(tmp_path, parts).finished()) == ["data"]


def test_a_damaged_file_is_made_again(log: Log, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, [log.part("data")])
    made = workshop.make()["data"]
    (made.folder / "file.txt").write_text("other")
    assert not workshop.finished()
    assert workshop.make()["data"].digest == made.digest
    assert log.made == ["data", "data"]


def test_what_was_only_needed_on_the_way_is_gone_at_the_end(tmp_path: Path) -> None:
    def make(folder: Path, _before: Before) -> Json:
        (folder / WORK).mkdir()
        (folder / WORK / "state").write_text("large")
        return {}

    made = Workshop(tmp_path, [Part("train", {}, "", make)]).make()["train"]
    assert not (made.folder / WORK).exists()
    assert json.loads((made.folder / "done.json").read_text())["files"] == {}


def test_only_the_wanted_parts_and_what_they_need_are_made(log: Log, tmp_path: Path) -> None:
    parts = [
        log.part("data"),
        log.part("train/a", "data"),
        log.part("train/b", "data"),
        log.part("assess/a", "train/a"),
    ]
    made = Workshop(tmp_path, parts).make(["assess"])
    assert log.made == list(made) == ["data", "train/a", "assess/a"]
    with pytest.raises(UsageError, match="no part 'trian'; known: assess, data, train"):
        Workshop(tmp_path, parts).make(["trian"])


def test_two_processes_do_not_work_in_one_folder(log: Log, tmp_path: Path) -> None:
    def make(_folder: Path, _before: Before) -> Json:
        Workshop(tmp_path, [log.part("data")]).make()

    with pytest.raises(UsageError, match="another process works in"):
        Workshop(tmp_path, [Part("outer", {}, "", make)]).make()
    assert not log.made


def test_parts_come_after_what_they_need_and_once(log: Log, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before data"):
        Workshop(tmp_path, [log.part("train", "data"), log.part("data")])
    with pytest.raises(ValueError, match="twice"):
        Workshop(tmp_path, [log.part("data"), log.part("data")])


def test_time_is_told_but_is_no_part_of_the_digest(log: Log, tmp_path: Path) -> None:
    digests = []
    for name, seconds in (("fast", 1.0), ("slow", 90.0)):
        clock = iter([0.0, seconds]).__next__
        made = Workshop(tmp_path / name, [log.part("data")], clock=clock).make()["data"]
        assert made.seconds == seconds
        digests.append(made.digest)
    assert digests[0] == digests[1]

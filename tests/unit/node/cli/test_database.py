"""``midline db``: what it says of a sound and of a broken node."""

import json
from pathlib import Path

from storage.database import Database
from storage.records import JobRecord
from tests.unit.node.cli.conftest import Run


def test_the_newest_version_is_told(run: Run, database: Database) -> None:
    done = run("db", "upgrade")
    assert done.exit_code == 0
    assert "the newest" in done.output


def test_missing_files_are_told_with_exit_code_1(run: Run, job: JobRecord) -> None:
    done = run("db", "check", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert told["version"] == told["newest"]
    # the results were never written, and the image has another size than was noted
    assert (told["num_files"], len(told["missing"]), len(told["altered"])) == (3, 2, 1)
    assert told["faults"] == []
    assert "missing: " in run("db", "check").output


def test_an_empty_node_is_sound(run: Run, database: Database, tmp_path: Path) -> None:
    assert "is not on this machine" in run("db", "check").stderr
    (tmp_path / "data" / "files").mkdir()
    assert run("db", "check", "--digests").exit_code == 0


def test_a_backup_is_made_once(run: Run, job: JobRecord, tmp_path: Path) -> None:
    target = tmp_path / "backup.sqlite"
    assert run("db", "backup", str(target)).exit_code == 0
    again = run("db", "backup", str(target))
    assert again.exit_code == 2
    assert "name a new file" in again.stderr

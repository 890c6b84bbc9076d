"""``midline destinations`` and what ``midline status`` says of refused forms."""

import json

from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from storage.database import Database
from storage.records import JobRecord
from tests.support.received import NOW
from tests.unit.node.cli.conftest import Run


def _refuse(database: Database, *uids: str) -> None:
    with database.begin() as transaction:
        transaction.refusals.note("pacs", uids, answer="does not take it", now=NOW)


def test_the_forms_that_are_wanted_and_those_that_are_got_are_listed(
    run: Run, database: Database
) -> None:
    (before,) = json.loads(run("destinations", "list", "--json").stdout)["destinations"]
    assert before["wanted"] == before["gets"] == "SEG BINARY, page, SR COMPREHENSIVE_3D"
    _refuse(database, SegmentationStorage, Comprehensive3DSRStorage)
    listed = json.loads(run("destinations", "list", "--json").stdout)
    (after,) = listed["destinations"]
    assert after["wanted"] == before["wanted"]
    assert after["gets"] == "page, overlay, SR COMPREHENSIVE"
    assert [each["answer"] for each in listed["refusals"]] == ["does not take it"] * 2
    table = run("destinations", "list").stdout
    assert "Segmentation Storage" in table


def test_status_shows_what_is_not_taken(run: Run, database: Database, job: JobRecord) -> None:
    assert "Not taken" not in run("status").stdout
    _refuse(database, SegmentationStorage)
    assert "Not taken" in run("status").stdout
    status = json.loads(run("status", "--json").stdout)
    assert status["destinations"][0]["gets"] == "page, overlay, SR COMPREHENSIVE_3D"
    assert status["refusals"][0]["uid"] == SegmentationStorage


def test_what_is_forgotten_is_got_again(run: Run, database: Database) -> None:
    _refuse(database, SegmentationStorage)
    assert "1 refusals of pacs" in run("destinations", "forget", "pacs").stdout
    (after,) = json.loads(run("destinations", "list", "--json").stdout)["destinations"]
    assert after["gets"] == after["wanted"]


def test_forgetting_nothing_is_a_mistake_in_one_line(run: Run, database: Database) -> None:
    result = run("destinations", "forget", "pacs")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1

"""``midline destinations`` and what ``midline status`` says of refused forms."""

import json
import re
from pathlib import Path

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    SegmentationStorage,
)

from storage.database import Database
from storage.records import JobRecord
from tests.support.pacs import SECONDARY_CAPTURE, free_port, running_pacs
from tests.support.received import NOW
from tests.support.web_archive import Reply, running_web_archive
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


WEB = '\n[[web_destinations]]\nname = "web"\nurl = "{}"\n'


def settings_with(config: Path, **replaced: object) -> None:
    """Change values of the destination in the settings file."""
    text = config.read_text()
    for key, value in replaced.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(value)}", text)
    config.write_text(text)


def test_a_peer_that_is_there_says_what_it_takes(run: Run, config: Path) -> None:
    with running_pacs(classes=(SECONDARY_CAPTURE, str(SegmentationStorage))) as pacs:
        settings_with(config, port=pacs.peer.port)
        with config.open("a") as file:
            file.write('compression = "JPEG2000"\n')
        probed = json.loads(run("destinations", "test", "pacs", "--json").stdout)
        shown = run("destinations", "test", "pacs").stdout
        assert pacs.received == []
    offers = {(o["sop_class"], o["transfer_syntax"]): o["is_taken"] for o in probed["offers"]}
    plain = ExplicitVRLittleEndian.name
    assert offers[SegmentationStorage.name, plain]
    assert not offers[SegmentationStorage.name, JPEG2000Lossless.name]
    assert not offers[Comprehensive3DSRStorage.name, plain]
    assert len(offers) == 9
    assert f"{probed['address']} answered in" in shown
    assert "Comprehensive 3D SR Storage" in shown


@pytest.mark.parametrize("answer", [Reply(200, []), Reply(204)])
def test_a_service_that_is_there_answers_a_search(run: Run, config: Path, answer: Reply) -> None:
    with running_web_archive(lambda _: answer) as archive:
        config.write_text(config.read_text() + WEB.format(archive.url))
        result = run("destinations", "test", "web")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{archive.url} answered in ")
    assert [(r.method, r.path) for r in archive.requests] == [("GET", "/dicom-web/studies?limit=1")]


@pytest.mark.parametrize(
    ("status", "exit_code", "words"),
    [
        (401, 1, "answered HTTP 401 Unauthorized"),
        (302, 1, "answered HTTP 302 Found"),
        (503, 1, "answered HTTP 503 Service Unavailable"),
        (404, 0, "HTTP 404 Not Found to a search: whether it stores will be seen"),
    ],
)
def test_a_service_that_does_not_search_is_told(
    run: Run, config: Path, status: int, exit_code: int, words: str
) -> None:
    with running_web_archive(lambda _: Reply(status)) as archive:
        config.write_text(config.read_text() + WEB.format(archive.url))
        result = run("destinations", "test", "web")
    assert result.exit_code == exit_code
    assert words in result.output


def test_who_is_not_there_is_told_in_one_line(run: Run, config: Path) -> None:
    settings_with(config, port=free_port())
    config.write_text(config.read_text() + WEB.format(f"http://127.0.0.1:{free_port()}"))
    for name, words in (("pacs", "no association"), ("web", "no connection")):
        result = run("destinations", "test", name)
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1


def test_an_unknown_destination_is_a_mistake_in_one_line(run: Run) -> None:
    result = run("destinations", "test", "nobody")
    assert result.exit_code == 2
    assert "nobody is no destination" in result.stderr


def test_a_web_destination_is_listed_like_any_other(
    run: Run, config: Path, database: Database
) -> None:
    url = "https://dicom.hospital.example/dicom-web"
    config.write_text(config.read_text() + WEB.format(url) + 'token_file = "/secret/token"\n')
    listed = json.loads(run("destinations", "list", "--json").stdout)["destinations"]
    assert [(each["name"], each["address"]) for each in listed][1] == ("web", url)
    status = json.loads(run("status", "--json").stdout)["destinations"]
    assert status[1]["destination"] == "web"
    assert status[1]["in_settings"]
    assert "SEG BINARY" in status[1]["gets"]
    assert "web" in run("status").stdout

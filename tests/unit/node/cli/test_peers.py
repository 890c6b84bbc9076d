"""``midline peers`` and what ``midline status`` says of refused forms."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    SegmentationStorage,
)

from node.commitment.messages import STORAGE_COMMITMENT
from node.query import FIND, GET
from storage.database import Database
from storage.records import JobRecord
from tests.support.certificates import Certificates, make_certificates
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
    (before,) = json.loads(run("peers", "list", "--json").stdout)["peers"]
    assert before["wanted"] == before["gets"] == "SEG BINARY, page, SR COMPREHENSIVE_3D"
    _refuse(database, SegmentationStorage, Comprehensive3DSRStorage)
    listed = json.loads(run("peers", "list", "--json").stdout)
    (after,) = listed["peers"]
    assert after["wanted"] == before["wanted"]
    assert after["gets"] == "page, overlay, SR COMPREHENSIVE"
    assert [each["answer"] for each in listed["refusals"]] == ["does not take it"] * 2
    table = run("peers", "list").stdout
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
    assert "1 refusals of pacs" in run("peers", "forget", "pacs").stdout
    (after,) = json.loads(run("peers", "list", "--json").stdout)["peers"]
    assert after["gets"] == after["wanted"]


def test_forgetting_nothing_is_a_mistake_in_one_line(run: Run, database: Database) -> None:
    result = run("peers", "forget", "pacs")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


SENDER = """
[[senders]]
ae_title = "CT1"
query = {{ ae_title = "CT1", host = "127.0.0.1", port = {port} }}
event_reports = {{ host = "127.0.0.1", port = {port} }}
"""
WEB = '\n[[web_destinations]]\nname = "web"\nurl = "{}"\n'


def settings_with(config: Path, **replaced: object) -> None:
    """Change values of the destination in the settings file."""
    text = config.read_text()
    for key, value in replaced.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(value)}", text)
    config.write_text(text)


def tls_table(made: Certificates) -> str:
    """Write the node's own certificates into settings."""
    files = {
        "certificate": made.certificate("node"),
        "private_key": made.key("node"),
        "authorities": made.authorities,
    }
    return "[tls]\n" + "".join(f'{key} = "{path}"\n' for key, path in files.items())


def test_a_peer_that_is_there_says_what_it_takes(run: Run, config: Path) -> None:
    with running_pacs(classes=(SECONDARY_CAPTURE, str(SegmentationStorage))) as pacs:
        settings_with(config, port=pacs.peer.port)
        with config.open("a") as file:
            file.write('compression = "JPEG2000"\n')
        (probed,) = json.loads(run("peers", "test", "pacs", "--json").stdout)
        shown = run("peers", "test", "pacs").stdout
        assert pacs.received == []
    answered = probed["answered"]
    taken = {
        (o["sop_class_uid"], o["transfer_syntax_uid"]): o["is_taken"] for o in answered["offers"]
    }
    plain = ExplicitVRLittleEndian
    assert taken[SegmentationStorage, plain]
    assert not taken[SegmentationStorage, JPEG2000Lossless]
    assert not taken[Comprehensive3DSRStorage, plain]
    assert len(taken) == 9
    assert answered["seconds"] > 0
    assert answered["implementation"].startswith("PYNETDICOM")
    assert answered["tls"] is answered["clock_ahead_seconds"] is None
    assert "unknown" in shown
    assert "Comprehensive 3D SR Storage" in shown


def test_a_peer_over_tls_shows_its_certificate(run: Run, config: Path, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    with running_pacs(certificates=(certificates, "pacs")) as pacs:
        settings_with(config, port=pacs.peer.port, host="localhost")
        config.write_text(config.read_text() + "tls = true\n" + tls_table(certificates))
        (probed,) = json.loads(run("peers", "test", "--json").stdout)
        shown = run("peers", "test").stdout
    assert probed["fault"] is None, probed
    tls = probed["answered"]["tls"]
    assert tls["version"] in ("TLSv1.2", "TLSv1.3")
    assert tls["days_left"] > 0
    assert tls["version"] in shown


@pytest.mark.parametrize("answer", [Reply(200, []), Reply(204)])
def test_a_service_that_is_there_answers_a_search(run: Run, config: Path, answer: Reply) -> None:
    with running_web_archive(lambda _: answer) as archive:
        config.write_text(config.read_text() + WEB.format(archive.url))
        result = run("peers", "test", "web", "--json")
    assert result.exit_code == 0
    (probed,) = json.loads(result.stdout)
    assert (probed["address"], probed["kind"]) == (archive.url, "web destination")
    assert abs(probed["answered"]["clock_ahead_seconds"]) < 60
    assert [(r.method, r.path) for r in archive.requests] == [("GET", "/dicom-web/studies?limit=1")]


def test_the_clock_of_a_service_is_compared_with_ours(run: Run, config: Path) -> None:
    ahead = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    with running_web_archive(lambda _: Reply(200, [], {"Date": ahead})) as archive:
        config.write_text(config.read_text() + WEB.format(archive.url))
        (probed,) = json.loads(run("peers", "test", "web", "--json").stdout)
    assert 3500 < probed["answered"]["clock_ahead_seconds"] < 3700


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
        result = run("peers", "test", "web", "--json")
    assert result.exit_code == exit_code
    assert words in result.stdout


def test_all_are_asked_and_whoever_is_not_there_is_told(run: Run, config: Path) -> None:
    settings_with(config, port=free_port())
    with running_pacs(ae_title="CT1", classes=(FIND, STORAGE_COMMITMENT)) as archive:
        port = archive.peer.port
        config.write_text(config.read_text() + SENDER.format(port=port))
        config.write_text(config.read_text() + WEB.format(f"http://127.0.0.1:{free_port()}"))
        result = run("peers", "test", "--json")
        table = run("peers", "test").stdout
    assert result.exit_code == 1
    found = {(each["name"], each["kind"]): each for each in json.loads(result.stdout)}
    assert "no association" in found["pacs", "destination"]["fault"]
    assert "no connection" in found["web", "web destination"]["fault"]
    query = found["CT1", "query"]["answered"]["offers"]
    assert {o["sop_class_uid"]: o["is_taken"] for o in query} == {FIND: True, GET: False}
    reports = found["CT1", "event reports"]["answered"]["offers"]
    assert all(offer["is_taken"] for offer in reports)
    assert "NO" in table
    assert "What CT1 (query) takes" in table


def test_a_peer_without_verification_is_still_told_about(run: Run, config: Path) -> None:
    with running_pacs(classes=(SECONDARY_CAPTURE,), verifies=False) as pacs:
        settings_with(config, port=pacs.peer.port)
        result = run("peers", "test", "pacs", "--json")
    assert result.exit_code == 0
    (probed,) = json.loads(result.stdout)
    assert probed["answered"]["seconds"] is None
    assert "does not offer Verification" in probed["answered"]["remark"]


def test_an_unknown_peer_is_a_mistake_in_one_line(run: Run) -> None:
    result = run("peers", "test", "nobody")
    assert result.exit_code == 2
    assert "nobody is no peer of the settings" in result.stderr


def test_a_web_destination_is_listed_like_any_other(
    run: Run, config: Path, database: Database
) -> None:
    url = "https://dicom.hospital.example/dicom-web"
    config.write_text(config.read_text() + WEB.format(url) + 'token_file = "/secret/token"\n')
    listed = json.loads(run("peers", "list", "--json").stdout)["peers"]
    assert [(each["name"], each["address"]) for each in listed][1] == ("web", url)
    status = json.loads(run("status", "--json").stdout)["destinations"]
    assert status[1]["destination"] == "web"
    assert status[1]["in_settings"]
    assert "SEG BINARY" in status[1]["gets"]
    assert "web" in run("status").stdout

"""The web page on a port, asked by a real HTTP client: who may see and do what; what is told."""

import json
import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from node.audit.messages import from_json
from node.engine import Queues
from node.page.answers import HEADERS, MOST_FORM_BYTES
from storage.files import FileStore
from storage.records import JobState, Priority, Standing, StudyFilter, StudyState
from tests.support.certificates import make_certificates
from tests.support.many_studies import fill
from tests.support.outlined_study import outlined_job
from tests.support.page_site import (
    PASSWORDS,
    PageSite,
    page_site,
    post,
    settings_in,
    sign_in,
    token_in,
)
from tests.support.waiting import eventually

NUM_STUDIES = 400
PAGES = ("/", "/studies/200", "/destinations", "/node", "/plots")
LIVE = ("/live/queue", "/live/studies/200", "/live/destinations", "/live/node")
ACTIONS = (
    "/jobs/200/retry",
    "/jobs/200/resend",
    "/jobs/200/cancel",
    "/jobs/200/priority",
    "/studies/200/readmit",
    "/node/drain",
    "/node/resume",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSite]:
    folder: Path = tmp_path_factory.mktemp("page")
    destination = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}
    settings = settings_in(
        folder, metrics={"enabled": True}, destinations=[destination], page={"sign_in_attempts": 50}
    )
    with page_site(settings) as site:
        fill(site.database, NUM_STUDIES, now=datetime.now(UTC))
        yield site


@pytest.fixture(scope="module")
def viewer(site: PageSite) -> Iterator[httpx.Client]:
    with site.signed_in("vera") as client:
        yield client


@pytest.fixture(scope="module")
def operator(site: PageSite) -> Iterator[httpx.Client]:
    with site.signed_in("otto") as client:
        yield client


def told(site: PageSite) -> list[str]:
    """What the trail was told, the last first: who, and in what words."""
    with site.database.read() as transaction:
        records = reversed(transaction.audit.latest(5))
    messages = [from_json(record.message_json) for record in records]
    return [f"{m.participants[0].user_id}: {m.description or m.event.name}" for m in messages]


def number_of(site: PageSite, standing: Standing) -> int:
    with site.database.read() as transaction:
        return transaction.listing.studies(StudyFilter(standing=standing), limit=1)[0].id


def state_of(site: PageSite, job_id: int) -> JobState:
    with site.database.read() as transaction:
        job = transaction.jobs.get(job_id)
    assert job is not None
    return job.state


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_anything_without_signing_in(site: PageSite, path: str) -> None:
    with site.client() as client:
        answer = client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize("path", LIVE)
def test_an_open_page_is_told_that_nobody_is_signed_in(site: PageSite, path: str) -> None:
    with site.client() as client:
        assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", [*PAGES, *LIVE])
def test_a_viewer_sees_every_page(viewer: httpx.Client, path: str) -> None:
    answer = viewer.get(path)
    assert answer.status_code == 200
    assert 'action="/jobs' not in answer.text
    assert 'action="/node' not in answer.text


@pytest.mark.parametrize("path", ACTIONS)
def test_a_viewer_can_do_nothing(site: PageSite, viewer: httpx.Client, path: str) -> None:
    before = state_of(site, 200)
    assert post(viewer, path, role="analyse", priority="STAT").status_code == 403
    assert state_of(site, 200) is before


@pytest.mark.parametrize("path", ACTIONS)
def test_a_form_from_elsewhere_does_nothing(
    site: PageSite, operator: httpx.Client, path: str
) -> None:
    before = state_of(site, 200)
    fields = {"role": "analyse", "priority": "STAT"}
    assert operator.post(path, data=fields).status_code == 403
    assert operator.post(path, data={**fields, "token": "0" * 64}).status_code == 403
    token = token_in(operator.get("/").text)
    for headers in (
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        sent = operator.post(path, data={**fields, "token": token}, headers=headers)
        assert sent.status_code == 403
    assert state_of(site, 200) is before


def test_another_method_or_path_is_not_there(operator: httpx.Client) -> None:
    assert operator.get("/jobs/200/retry").status_code == 404
    assert operator.get("/studies/x").status_code == 404
    assert operator.get("/studies/999999").status_code == 404
    assert operator.get("/static/../server.py").status_code == 404
    assert operator.get("/?before=-1").status_code == 400
    assert operator.get("/?standing=NORMAL").status_code == 400


def test_a_form_without_end_is_refused(operator: httpx.Client) -> None:
    answer = operator.post("/search", data={"number": "1" * MOST_FORM_BYTES})
    assert answer.status_code == 400
    assert operator.post("/search", json={"number": 1}).status_code == 400


def test_every_answer_tells_the_browser_to_be_careful(site: PageSite, viewer: httpx.Client) -> None:
    for path in (*PAGES, *LIVE, "/sign-in", "/static/page.js", "/health/live", "/none"):
        headers = viewer.get(path).headers
        for name, value in HEADERS.items():
            assert headers[name] == value, path
        assert "no-" in headers["cache-control"]
        assert "server" not in headers


def test_no_page_holds_script_or_style_of_its_own(viewer: httpx.Client) -> None:
    for path in PAGES:
        text = viewer.get(path).text
        assert not re.search(r"<style| style=| on\w+=|javascript:", text), path
        assert re.findall(r"<script[^>]*>", text) == ['<script src="/static/page.js" defer>']
        assert not re.search(r'(src|href)="(https?:)?//', text), path


def test_the_cookie_of_a_session_is_for_this_page_alone(site: PageSite) -> None:
    with site.client() as client:
        answer = sign_in(client, "vera", PASSWORDS["vera"])
        (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith("midline=")]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.get("/").status_code == 200
        assert post(client, "/sign-out").headers["location"] == "/sign-in"
        client.cookies.set("midline", cookie.split("=", 1)[1].split(";")[0])
        assert client.get("/").status_code == 303


def test_signing_in_needs_the_form_and_the_right_password(site: PageSite) -> None:
    with site.client() as client:
        wrong = sign_in(client, "vera", "not hers")
        assert wrong.status_code == 403
        assert "Name or password is wrong." in wrong.text
        assert "not hers" not in wrong.text
        form = {"name": "vera", "password": PASSWORDS["vera"]}
        assert client.post("/sign-in", data=form).status_code == 403
        assert client.get("/").status_code == 303
    assert told(site)[0] == "vera: wrong name or password"


def test_after_too_many_wrong_passwords_nobody_is_tried(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, page={"sign_in_attempts": 2})
    with page_site(settings) as site, site.client() as client:
        for status in (403, 403, 429):
            assert sign_in(client, "vera", "not hers").status_code == status
        assert sign_in(client, "vera", PASSWORDS["vera"]).status_code == 429


def test_the_queue_goes_on_in_pages(viewer: httpx.Client) -> None:
    seen: list[int] = []
    path = "/?standing=DONE"
    while path:
        text = viewer.get(path).text
        seen += map(int, re.findall(r'id="study-(\d+)"', text))
        found = re.search(r'rel="next" href="([^"]+)"', text)
        path = found.group(1).replace("&amp;", "&") if found else ""
    assert len(seen) > 300
    assert seen == sorted(set(seen), reverse=True)


def test_what_has_not_changed_is_not_sent_again(site: PageSite, operator: httpx.Client) -> None:
    first = operator.get("/live/queue")
    again = operator.get("/live/queue", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    with site.database.begin() as transaction:
        assert transaction.jobs.prioritise(number_of(site, Standing.QUEUED), Priority.HIGH)
    asked = {"If-None-Match": first.headers["etag"]}
    changed = eventually(lambda: operator.get("/live/queue", headers=asked).text)
    assert "HIGH" in changed


def test_a_search_goes_to_the_study_and_is_in_no_address(
    operator: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert post(operator, "/search", number="#123").headers["location"] == "/studies/123"
    answer = post(operator, "/search", number="SECRET^NAME")
    assert answer.headers["location"] == "/"
    text = operator.get("/").text
    assert "it knows no names" in text
    assert "it knows no names" not in operator.get("/").text
    assert "SECRET" not in text + caplog.text
    assert "POST /search: 303" in caplog.text


def test_an_operator_does_what_the_command_line_does(
    site: PageSite, operator: httpx.Client
) -> None:
    job = number_of(site, Standing.QUEUED)
    with closing(Queues(site.database.engine)) as queues, site.database.begin() as transaction:
        queues.analyse(transaction.session, job, run=1)
    answer = post(operator, f"/jobs/{job}/priority", priority="LOW", study=str(job))
    assert answer.headers["location"] == f"/studies/{job}"
    assert f"Job {job} is LOW now." in operator.get(f"/studies/{job}").text
    assert "otto: queue prioritise LOW" in told(site)
    answer = post(operator, f"/jobs/{job}/cancel", study=str(job))
    assert answer.headers["location"] == f"/studies/{job}"
    page = operator.get(f"/studies/{job}").text
    assert f"Job {job} is cancelled; its study gets a report that says so." in page
    assert state_of(site, job) is JobState.CANCELLED
    assert "otto: queue cancel" in told(site)
    refused = post(operator, f"/jobs/{job}/cancel", study=str(job))
    assert refused.headers["location"] == f"/studies/{job}"
    assert "only a queued or running one can be cancelled" in operator.get(f"/studies/{job}").text


def test_a_study_is_readmitted(site: PageSite, operator: httpx.Client) -> None:
    with site.database.begin() as transaction:
        study = transaction.studies.get(300)
        assert study is not None
        assert transaction.studies.quarantine(study.study_instance_uid) == (300,)
    assert "Take out of quarantine" in operator.get("/studies/300").text
    assert post(operator, "/studies/300/readmit").headers["location"] == "/studies/300"
    with site.database.read() as transaction:
        study = transaction.studies.get(300)
    assert study is not None
    assert study.state is StudyState.COMPLETE
    assert "otto: queue readmit" in told(site)


def test_the_node_is_drained_and_resumed(operator: httpx.Client) -> None:
    assert post(operator, "/node/drain", role="analyse").headers["location"] == "/node"
    assert "Resume analyse" in operator.get("/node").text
    post(operator, "/node/drain", role="everything")
    assert "There is no such role." in operator.get("/node").text
    post(operator, "/node/resume", role="analyse")
    assert "Drain analyse" in operator.get("/node").text


def test_whoever_looks_at_a_study_is_in_the_trail(site: PageSite, viewer: httpx.Client) -> None:
    viewer.get("/studies/150")
    assert told(site)[0] == "vera: shown"


def test_no_page_shows_a_uid_unless_the_site_wants_it(
    site: PageSite, viewer: httpx.Client, tmp_path: Path
) -> None:
    for path in PAGES:
        assert "2.25." not in viewer.get(path).text
    with page_site(settings_in(tmp_path, page={"show_uids": True})) as other:
        fill(other.database, 20, now=datetime.now(UTC))
        with other.signed_in() as client:
            assert "2.25." in client.get("/studies/10").text


def test_slices_show_what_was_outlined_and_are_drawn_once(
    site: PageSite, viewer: httpx.Client, tmp_path: Path
) -> None:
    files = FileStore(site.settings.storage.folder / "files", reserve_bytes=0)
    job = outlined_job(site.database, files, tmp_path)
    page = viewer.get(f"/studies/{job.study_id}").text
    assert f'data-once="/live/jobs/{job.id}/slices"' in page
    assert "12.3 ml, left" in page
    text = viewer.get(f"/live/jobs/{job.id}/slices").text
    assert "(SDH), slice 8 of 36" in text
    picture = viewer.get(f"/jobs/{job.id}/slices/0.png")
    assert picture.headers["content-type"] == "image/png"
    pixels = np.asarray(Image.open(BytesIO(picture.content)).convert("RGB")).astype(int)
    coloured = (pixels.max(axis=2) - pixels.min(axis=2) > 60).sum()
    assert coloured > 50, "no outline, and no disclaimer, is drawn"
    assert viewer.get(f"/jobs/{job.id}/slices/1.png").status_code == 404
    assert "No mask was written." in viewer.get("/live/jobs/200/slices").text


def test_slices_are_not_shown_where_the_site_does_not_want_it(tmp_path: Path) -> None:
    with page_site(settings_in(tmp_path, page={"show_slices": False})) as site:
        fill(site.database, 20, now=datetime.now(UTC))
        with site.signed_in() as client:
            assert client.get("/live/jobs/10/slices").status_code == 404


def test_a_page_on_loopback_answers_to_its_own_name_alone(site: PageSite) -> None:
    with site.client() as client:
        for host in ("elsewhere.example", "elsewhere.example:80", "10.0.0.1", "[::1", ""):
            assert client.get("/metrics", headers={"Host": host}).status_code in (400, 421), host
        for host in ("localhost", "127.0.0.1:1", "[::1]:8080"):
            assert client.get("/metrics", headers={"Host": host}).status_code == 200, host


def test_figures_are_read_without_signing_in_and_name_no_study(site: PageSite) -> None:
    with site.client() as client:
        text = client.get("/metrics").text
    assert 'midline_studies{state="COMPLETE"}' in text
    assert 'midline_page_requests_total{path="/studies/{study_id:int}"' in text
    assert "2.25." not in text


def test_figures_are_for_some_addresses_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, metrics={"enabled": True, "addresses": ["10.1.0.0/16"]})
    with page_site(settings) as site, site.client() as client:
        assert client.get("/metrics").status_code == 403
        assert "checks" not in client.get("/health/ready").json()


def test_without_the_setting_there_are_no_figures(tmp_path: Path) -> None:
    with page_site(settings_in(tmp_path)) as site, site.client() as client:
        assert client.get("/metrics").status_code == 404
        assert client.get("/health/live").text == "alive\n"


def test_the_page_is_served_over_tls_with_the_nodes_certificate(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    settings = settings_in(tmp_path, page={"tls": True}, tls=certificates.tls().model_dump())
    trusted = ssl.create_default_context(cafile=str(certificates.authorities))
    with page_site(settings) as site, site.client(verify=trusted) as client:
        answer = sign_in(client, "vera", PASSWORDS["vera"])
        assert "max-age" in answer.headers["strict-transport-security"]
        (cookie,) = [
            c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-midline=")
        ]
        assert "Secure" in cookie
        assert client.get("/").status_code == 200


def test_a_fault_is_told_without_what_it_says(
    site: PageSite, viewer: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with site.database.begin() as transaction:
        job = transaction.jobs.get(250)
        assert job is not None
        transaction.jobs.requeue(250)
        transaction.jobs.start(250, "w", now=datetime.now(UTC))
        transaction.jobs.note_selection(250, '{"broken": "CANARYPATIENT"')
    answer = viewer.get("/studies/250")
    assert answer.status_code == 500
    # the answer is sent before the fault is noted
    eventually(lambda: "a fault of the page: JSONDecodeError" in caplog.text)
    assert "CANARY" not in answer.text + caplog.text


def test_what_is_ready_is_told(site: PageSite) -> None:
    with site.client() as client:
        answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert json.loads(answer.text)["checks"] == {
        "database": True,
        "tables": True,
        "disk": True,
        "analyse": False,
        "deliver": False,
    }

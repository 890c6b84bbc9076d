"""The web page in Chromium, with 10,000 studies: live, legible, usable by keyboard and on a phone.

Accessibility is judged by axe-core, which the package axe-playwright-python brings.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.records import NewWorker
from tests.support.many_studies import fill
from tests.support.outlined_study import outlined_job
from tests.support.page_site import PASSWORDS, PageSite, page_site, settings_in

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(300)]

CHROMIUM = Path("/usr/bin/chromium")
NUM_STUDIES = 10_000
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAGES = ("/", "/studies/9990", "/studies/9996", "/destinations", "/node", "/plots")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSite]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed; `peers install --viewer` does it")
    destination = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}
    folder: Path = tmp_path_factory.mktemp("page")
    with page_site(settings_in(folder, destinations=[destination])) as site:
        fill(site.database, NUM_STUDIES, now=datetime.now(UTC))
        with site.database.begin() as transaction:
            for role in ("analyse", "deliver"):
                worker = NewWorker(f"{role}-1", role=role, host="node1", pid=1, device="cpu")
                transaction.workers.beat(worker, now=transaction.now())
        yield site


@pytest.fixture(scope="module")
def browser(site: PageSite) -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@contextmanager
def opened(browser, site: PageSite, name: str = "otto", *, expected: str = "", **options):
    """Open a page as a person who signed in by the form; what the console says is a failure."""
    context = browser.new_context(viewport=options.pop("viewport", DESKTOP), **options)
    page, said = context.new_page(), []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console",
        lambda line: said.append(line.text) if line.type in ("error", "warning") else None,
    )
    page.goto(f"{site.url}/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORDS[name])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Queue").wait_for()
    yield page
    context.close()
    assert [line for line in said if not (expected and expected in line)] == []


def faults(page) -> list[str]:
    """What axe finds, in a line for each element."""
    found = axe.Axe().run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_every_page_can_be_read_by_all_and_fits(
    browser, site: PageSite, viewport: dict[str, int], scheme: str
) -> None:
    with opened(browser, site, viewport=viewport, color_scheme=scheme) as page:
        for path in PAGES:
            page.goto(site.url + path)
            assert faults(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path


def test_the_form_to_sign_in_can_be_read_by_all(browser, site: PageSite) -> None:
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(f"{site.url}/sign-in")
    assert faults(page) == []
    assert page.evaluate("document.activeElement.id") == "name"
    context.close()


def test_the_queue_changes_without_a_reload(browser, site: PageSite) -> None:
    with opened(browser, site) as page:
        page.evaluate("window.mark = 'not loaded again'")
        row = page.locator("tr", has=page.locator("#study-9998"))
        row.get_by_text("being analysed").wait_for()
        now = datetime.now(UTC)
        with site.database.begin() as transaction:
            assert transaction.jobs.finish(9998, outcome="POSITIVE", now=now) is not None
        row.get_by_text("ICH suspected").wait_for(timeout=15_000)
        assert page.evaluate("window.mark") == "not loaded again"


def test_times_count_on_and_a_choice_is_not_disturbed(browser, site: PageSite) -> None:
    with opened(browser, site) as page:
        page.goto(f"{site.url}/studies/9996")
        choice = page.get_by_label("Priority")
        choice.select_option("LOW")
        choice.focus()
        with site.database.begin() as transaction:
            transaction.studies.expect(9996, 170, by="a test")
        page.wait_for_timeout(1500)
        assert choice.input_value() == "LOW"
        page.get_by_role("heading", name="Study 9996").click()
        page.evaluate("document.activeElement.blur()")
        page.get_by_text("170 images, says a test").wait_for(timeout=15_000)


def test_the_page_counts_time_in_the_words_of_the_server(browser, site: PageSite) -> None:
    from node.page.words import duration

    with opened(browser, site) as page:
        for seconds in (0, 9.9, 10, 119, 120, 3600, 7199, 7200, 86_400, 172_800, 1e7):
            assert page.evaluate(f"duration({seconds})") == duration(seconds)


def test_filters_and_pages_lead_through_ten_thousand_studies(browser, site: PageSite) -> None:
    with opened(browser, site) as page:
        page.get_by_label("State").select_option("UNDELIVERED")
        page.wait_for_url(re.compile("standing=UNDELIVERED"))
        assert page.locator("tbody tr").count() == 32
        page.get_by_role("link", name="Show all").click()
        page.get_by_role("link", name="Older").click()
        page.wait_for_url(re.compile("before=9951"))
        assert page.locator("tbody tr").first.get_by_role("link").inner_text() == "9950"
        page.get_by_label("Study or job number").fill("4711")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Study 4711").wait_for()


def test_what_cannot_be_taken_back_is_asked_before(browser, site: PageSite) -> None:
    with opened(browser, site) as page:
        page.goto(f"{site.url}/studies/9997")
        questions = []
        page.once("dialog", lambda d: (questions.append(d.message), d.dismiss()))
        page.get_by_role("button", name="Cancel").click()
        assert questions == ["Give this analysis up? The study gets a report that says so."]
        page.once("dialog", lambda d: d.accept())
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("status").get_by_text("Job 9997 is cancelled").wait_for()


def test_slices_appear_with_their_captions(browser, site: PageSite, tmp_path: Path) -> None:
    from storage.files import FileStore

    files = FileStore(site.settings.storage.folder / "files", reserve_bytes=0)
    job = outlined_job(site.database, files, tmp_path)
    with opened(browser, site, "vera") as page:
        page.goto(f"{site.url}/studies/{job.study_id}")
        page.get_by_text("(SDH), slice 8 of 36").wait_for(timeout=60_000)
        image = page.locator("figure img")
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 200
        assert faults(page) == []


def test_who_is_signed_out_elsewhere_is_sent_to_the_door(browser, site: PageSite) -> None:
    with opened(browser, site, "vera", expected="401 (Unauthorized)") as page:
        with site.database.begin() as transaction:
            transaction.accounts.set_password(
                "vera", transaction.accounts.password_hash("vera"), now=datetime.now(UTC)
            )
        page.get_by_role("heading", name="Sign in").wait_for(timeout=15_000)


def test_it_works_without_javascript(browser, site: PageSite) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        page.get_by_label("State").select_option("FAILED")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url(re.compile("standing=FAILED"))
        assert page.locator("tbody tr").count() > 5
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()

"""Make ``docs/pictures/page-*.png``: the web page with studies that never were.

``python -m docs.pictures.page`` needs Chromium and the package playwright.
"""

import tempfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from ml.phantom import Scan, make_phantom
from ml.volume import Subtype
from storage.files import FileStore
from storage.records import NewWorker
from tests.support.many_studies import fill
from tests.support.outlined_study import give_images
from tests.support.page_site import PASSWORDS, PageSite, page_site, settings_in

CHROMIUM = Path("/usr/bin/chromium")
TARGET = Path(__file__).parent
NUM_STUDIES = 4_400
POSITIVE = 4_377
"""A study whose report says that blood is suspected."""
SEED = 2_000_104
NUM_COLOURS = 256
DESKTOP = {"width": 1200, "height": 800}
PHONE = {"width": 390, "height": 800}


def main() -> None:
    """Serve a page, look at it, and keep what is seen."""
    destinations = [
        {"name": name, "ae_title": name.upper(), "host": f"{name}.hospital.example", "port": 104}
        for name in ("pacs", "archive")
    ]
    with tempfile.TemporaryDirectory() as folder:
        liveness = {"dead_after_seconds": 3600.0}  # the workers are made up and do not beat
        settings = settings_in(Path(folder), destinations=destinations, liveness=liveness)
        with page_site(settings) as site, sync_playwright() as driver:
            _fill(site, Path(folder))
            browser = driver.chromium.launch(
                executable_path=str(CHROMIUM), args=["--no-sandbox", "--hide-scrollbars"]
            )
            for viewport, scheme, ending in ((DESKTOP, "light", ""), (PHONE, "dark", "-phone")):
                page = browser.new_page(viewport=viewport, color_scheme=scheme)
                _look(page, site, ending)
            browser.close()


def _fill(site: PageSite, folder: Path) -> None:
    fill(site.database, NUM_STUDIES, now=datetime.now(UTC))
    with site.database.begin() as transaction:
        for number, role in enumerate(("analyse", "analyse", "deliver")):
            worker = NewWorker(f"{role}-{number}", role=role, host="node1", pid=411, device="cpu")
            transaction.workers.beat(worker, now=transaction.now())
    phantom = make_phantom(SEED, (Subtype.SDH, Subtype.IPH), scan=Scan(matrix=256))
    files = FileStore(site.settings.storage.folder / "files", reserve_bytes=0)
    give_images(site.database, files, folder / "images", POSITIVE, phantom)


def _look(page: Page, site: PageSite, ending: str) -> None:
    page.goto(f"{site.url}/")
    page.get_by_label("Name").fill("otto")
    page.get_by_label("Password").fill(PASSWORDS["otto"])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Queue").wait_for()
    page.evaluate("document.activeElement.blur()")
    _keep(page, f"queue{ending}")
    if ending:
        return
    page.goto(f"{site.url}/studies/{POSITIVE}")
    page.locator("figure img").first.wait_for(timeout=120_000)
    page.wait_for_load_state("networkidle")
    _keep(page, "study", whole=True)
    page.goto(f"{site.url}/plots?span=7d")
    _keep(page, "plots", whole=True)


def _keep(page: Page, name: str, *, whole: bool = False) -> None:
    taken = Image.open(BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    # outlines are few pixels of colours of their own, which must not be averaged away
    fewer = taken.quantize(NUM_COLOURS, method=Image.Quantize.MAXCOVERAGE)
    fewer.save(TARGET / f"page-{name}.png", optimize=True)


if __name__ == "__main__":
    main()

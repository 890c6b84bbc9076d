"""The demo's page: self-contained, every link leads somewhere, and nothing is called clear."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from ml.phantom import Scan
from ml.volume import Subtype
from node.demo import page
from node.demo.received import Answer
from node.demo.studies import SyntheticHead, write_study
from node.results.outcomes import Presence
from node.results.read_report import Conclusion, ReadBack

POSITIVE = ReadBack(
    Conclusion.POSITIVE,
    status="Succeeded",
    presence=Presence.PRESENT,
    volumes_ml={Subtype.SDH: 28.4},
)


class Links(HTMLParser):
    """What a page refers to, and which tags it leaves open."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of a demo with one answer and one fault."""
    folder = tmp_path_factory.mktemp("demo")
    scan = Scan(num_slices=16, matrix=64, slice_step_mm=10.0)
    head = SyntheticHead("Sub<dural>", 4, (Subtype.SDH,))
    study = write_study(folder / "studies" / "study01", head, scan=scan)
    report = folder / "pacs" / "001-SR.dcm"
    report.parent.mkdir()
    for path in (report, folder / "node.log"):
        path.touch()
    answer = Answer(study, report, None, POSITIVE, 2.25)
    page.write(folder, [answer], ["Healthy & well: no report arrived"])
    return folder


def test_every_link_is_relative_and_leads_to_a_file(folder: Path) -> None:
    links = Links()
    links.feed((folder / "index.html").read_text())
    assert links.open == []
    assert "pictures/study01.png" in links.found
    for link in links.found:
        assert not link.startswith("/")
        assert (folder / link).exists(), link


def test_what_came_back_is_told_in_words(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    for words in ("POSITIVE", "SDH 28.4 ml", "2.2 s", "Not for diagnosis", "no report arrived"):
        assert words in text
    assert "does not exclude it" in " ".join(text.split())
    for word in ("normal", "cleared", "excluded", "green"):
        assert word not in text.lower()


def test_texts_are_escaped(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    assert "Sub&lt;dural&gt;" in text
    assert "Healthy &amp; well" in text
    assert "Sub<dural>" not in text


def test_the_page_needs_no_network_and_runs_nothing(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    assert "http" not in text
    assert "<script" not in text

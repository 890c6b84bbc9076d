"""The demo as a person starts it: three studies in, three reports out, a page to open."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset, dcmread

from node.results.read_report import Conclusion, read_report
from tests.support.pacs import SEGMENTATION

SECONDS = 600.0
"""Enough for a busy machine; 2 cores that are free take less than 90 s."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "node.cli", "demo", "--out", str(folder)],
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo; its folder and what it wrote on the terminal."""
    folder = tmp_path_factory.mktemp("demo") / "demo-output"
    done = demo(folder)
    assert done.returncode == 0, f"{done.stderr}\n{(folder / 'node.log').read_text()[-3000:]}"
    assert done.stderr == ""
    return folder, done.stdout


def test_every_study_gets_the_report_that_its_head_deserves(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    reports = [read_report(path) for path in sorted((folder / "pacs").glob("*-SR.dcm"))]
    assert sorted(report.conclusion for report in reports) == [
        Conclusion.NEGATIVE,
        Conclusion.POSITIVE,
        Conclusion.POSITIVE,
    ]


def segmentations_of(report: Dataset) -> set[str]:
    """SOP Instance UIDs of the segmentations that a report refers to."""
    found = set()

    def look(ds: Dataset, element: DataElement) -> None:
        if element.keyword == "ReferencedSOPClassUID" and element.value == SEGMENTATION:
            found.add(str(ds.ReferencedSOPInstanceUID))

    report.walk(look)
    return found


def test_segmentations_arrive_before_the_reports_that_point_at_them(
    shown: tuple[Path, str],
) -> None:
    folder, _ = shown
    arrived: set[str] = set()
    referenced: set[str] = set()
    for path in sorted((folder / "pacs").iterdir()):
        ds = dcmread(path)
        arrived.add(str(ds.SOPInstanceUID))
        if ds.Modality == "SR":
            referenced |= segmentations_of(ds)
            assert referenced <= arrived
    assert (len(arrived), len(referenced)) == (8, 2)


def test_a_table_tells_what_came_back(shown: tuple[Path, str]) -> None:
    folder, written = shown
    assert written.count("POSITIVE") == 2
    assert written.count("NEGATIVE") == 1
    assert str(folder / "index.html") in written


def test_the_page_shows_each_study(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    text = (folder / "index.html").read_text()
    for link in re.findall(r'(?:href|src)="([^"]+)"', text):
        assert (folder / link).exists(), link
    assert len(list((folder / "pictures").glob("*.png"))) == 3
    assert "Not as it should be" not in text


def test_the_node_ended_in_good_order(shown: tuple[Path, str]) -> None:
    log = (shown[0] / "node.log").read_text()
    for fault in ("Traceback", "Fatal", "ERROR", "ended with code"):
        assert fault not in log


def test_what_no_demo_made_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = demo(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("midline: ")
    assert "no demo made it" in done.stderr
    assert (tmp_path / "thesis.txt").exists()

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pages
from benchmarks.__main__ import note_failure, run
from benchmarks.catalogue import BENCHMARKS, Benchmark
from benchmarks.simulation.capacity import Carried, carried_by
from config.errors import UsageError

MACHINE: dict[str, Any] = {
    "cpu": "CPU",
    "cores": 2,
    "memory_gib": 8,
    "kernel": "6",
    "file_system": "ext4",
    "python": "3.11",
    "packages": {},
    "programs": {},
    "at": "2031-03-04 05:06 UTC",
    "commit": "abc",
    "load_averages": [0.1, 0.2, 0.3],
}
DATABASE = {"seconds": 1.0, "cases": [{"database": "sqlite", "processes": 1, "rate": 1234.5}]}


def content(*, quick: bool = False) -> dict[str, Any]:
    named = {"benchmark": "database", "quick": quick, "minutes": 1.5}
    return named | {"machine": MACHINE, "found": DATABASE}


@pytest.mark.parametrize("path", pages.generated(pages.RESULTS), ids=str)
def test_documents_are_those_of_the_results(path: Path) -> None:
    words = pages.generated(pages.RESULTS)[path]
    text = (pages.ROOT / path).read_text(encoding="utf-8")
    assert pages.between(text, words, name=str(path)) == text, "`make docs` writes it anew"


def test_what_was_simulated_belongs_to_the_results() -> None:
    planned = pages.RESULTS / pages.PLANNED
    if planned.exists():
        found = {name: each["found"] for name, each in pages.read(pages.RESULTS).items()}
        carried = json.loads(planned.read_text(encoding="utf-8"))["carried"]
        assert Carried(**carried) == carried_by(found), "`make docs` simulates anew"


def test_a_page_shows_what_was_measured_where_and_what_was_not() -> None:
    page = "\n".join(pages.performance({"database": content()}))
    assert "| sqlite | 1 | 1234 |" in page
    assert "| database | 2031-03-04 05:06 UTC | abc | 1.5 | 0.1, 0.2, 0.3 |" in page
    assert page.count(pages.NOT_MEASURED) == len(BENCHMARKS) - 1
    assert pages.QUICK not in page
    assert pages.QUICK in "\n".join(pages.performance({"database": content(quick=True)}))


def test_a_failure_is_told_and_costs_no_earlier_figures(tmp_path: Path) -> None:
    target = tmp_path / "database.json"
    target.write_text(json.dumps(content()), encoding="utf-8")
    note_failure(target, "database", "DiskError: full")
    note_failure(tmp_path / "soak.json", "soak", "not done after 4 hours")
    page = "\n".join(pages.performance(pages.read(tmp_path)))
    assert "failed:** DiskError: full" in page
    assert "| sqlite | 1 | 1234 |" in page
    assert "failed:** not done after 4 hours" in page


def test_a_benchmark_that_ends_badly_is_known_by_its_code(tmp_path: Path) -> None:
    broken = Benchmark("no such name", "nowhere", "")
    assert run(broken, tmp_path / "x.json", {}, quick=True) == "code 2"


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"page\.md lacks one of the marks"):
        pages.between("no marks", "words", name="page.md")


def test_writing_a_page_twice_changes_nothing() -> None:
    text = f"before\n{pages.BEGIN}\nold\n{pages.END}\nafter\n"
    once = pages.between(text, "new", name="page.md")
    assert pages.between(once, "new", name="page.md") == once
    assert once.startswith("before\n")
    assert once.endswith("after\n")

"""Plots: what falls where, and that the numbers below a plot are those that it draws."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from node.page.plots import SPANS, draw_plots
from storage.records import FinishedJob, SentDelivery

NOW = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)


def job(number: int, *, ago: timedelta, seconds: float) -> FinishedJob:
    return FinishedJob(
        id=number,
        outcome="NEGATIVE",
        finished_at=NOW - ago,
        wait_seconds=1.0,
        work_seconds=seconds / 2,
        report_seconds=seconds,
    )


def test_reports_are_counted_in_the_part_in_which_they_ended() -> None:
    jobs = [job(1, ago=timedelta(minutes=5), seconds=20)]
    jobs += [job(n, ago=timedelta(hours=2), seconds=30) for n in (2, 3)]
    reports, times, *_ = draw_plots(jobs, [], span=SPANS["24h"], now=NOW).plots
    counted = dict(row for row in reports.rows if row[1] != "0")
    assert counted == {"2030-01-01 12:00": "1", "2030-01-01 10:00": "2"}
    assert reports.summary == "3 reports in 24 hours"
    assert [row for row in times.rows if row[1]] == [
        ("2030-01-01 10:00", "30 s", "30 s"),
        ("2030-01-01 12:00", "20 s", "20 s"),
    ]
    assert times.summary == "median 30 s, 95 % within 30 s"


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
def test_a_plot_of_nothing_says_so(span: object) -> None:
    drawn = draw_plots([], [], span=SPANS["7d"], now=NOW).plots
    assert drawn[1].summary == "nothing in 7 days"


@pytest.mark.parametrize("seconds", [0.0, 0.3, 4.0, 59.0, 700.0, 4000.0, 90_000.0, 1e6, 1e9])
def test_every_value_lies_within_its_plot(seconds: float) -> None:
    jobs = [job(n, ago=timedelta(hours=n), seconds=seconds * n / 5) for n in range(1, 6)]
    sent = [SentDelivery(1, "pacs", NOW - timedelta(minutes=1), seconds)]
    for plot in draw_plots(jobs, sent, span=SPANS["24h"], now=NOW).plots:
        root = ET.fromstring(str(plot.svg))  # noqa: S314 - our own
        *_, width, height = map(float, root.attrib["viewBox"].split())
        for circle in root.iter("circle"):
            assert 0 <= float(circle.attrib["cx"]) <= width
            assert 0 <= float(circle.attrib["cy"]) <= height
        labels = [text.text for text in root.iter("text")]
        assert len(set(labels)) == len(labels), labels
        assert len(labels) < 25
        assert not re.search("style=", str(plot.svg)), "the page's policy takes no styles"

"""What a status means for a delivery: every number there is, and those of the tables one by one."""

from itertools import chain

import pytest

from node.status import Verdict, is_warning, verdict_of, verdict_of_failure, verdict_of_http

DONE = (0x0000, 0x0001, 0x0111, 0xB000, 0xB006, 0xB007, 0xBFFF)
RETRY = (0xA700, 0xA701, 0xA7FF, 0x0110, 0x0213)
HOLD = (0x0124, 0x0214)
DEAD = (
    *(0xA900, 0xA9FF, 0xC000, 0xC001, 0xCFFF),
    *(0x0112, 0x0117, 0x0118, 0x0119, 0x0122, 0x0210, 0x0211, 0x0212),
    *(0x0105, 0x0120, 0xA600, 0xA800, 0xAFFF, 0xD000, 0xFE00, 0xFFFF),
)


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [(DONE, Verdict.DONE), (RETRY, Verdict.RETRY), (HOLD, Verdict.HOLD), (DEAD, Verdict.DEAD)],
)
def test_what_a_store_response_means(statuses: tuple[int, ...], verdict: Verdict) -> None:
    assert {verdict_of(status) for status in statuses} == {verdict}


def test_every_number_has_a_meaning_and_few_are_tried_again() -> None:
    verdicts = [verdict_of(status) for status in range(0x10000)]
    assert verdicts.count(Verdict.RETRY) == 0x100 + 2
    assert verdicts.count(Verdict.HOLD) == 2
    assert verdicts.count(Verdict.DONE) == 0x1000 + 3


def test_warnings_are_told_apart_from_success_and_duplicate() -> None:
    assert [status for status in DONE if is_warning(status)] == [
        *(0x0001, 0xB000, 0xB006, 0xB007, 0xBFFF)
    ]
    assert not any(is_warning(status) for status in (*RETRY, *HOLD, *DEAD))


def test_a_failure_is_no_success_whatever_its_number_but_for_what_is_there_already() -> None:
    done = [reason for reason in range(0x10000) if verdict_of_failure(reason) is Verdict.DONE]
    assert done == [0x0111]
    for reason in chain(RETRY, HOLD, DEAD):
        assert verdict_of_failure(reason) is verdict_of(reason)


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ((200, 202, 409), None),
        ((300, 301, 302, 303, 304, 307, 308), Verdict.HOLD),
        ((401, 403, 404, 405, 407, 410, 501), Verdict.HOLD),
        ((400, 402, 406, 411, 412, 413, 414, 415, 422, 451, 499), Verdict.DEAD),
        ((408, 425, 429, 500, 502, 503, 504, 507, 599), Verdict.RETRY),
        ((100, 201, 203, 204, 206, 600, 999), Verdict.RETRY),
    ],
)
def test_what_an_http_status_means(statuses: tuple[int, ...], verdict: Verdict | None) -> None:
    assert {verdict_of_http(status) for status in statuses} == {verdict}


def test_no_http_status_alone_says_that_an_object_arrived() -> None:
    assert Verdict.DONE not in {verdict_of_http(status) for status in range(1000)}

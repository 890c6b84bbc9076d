"""Lists of many studies: filters say what a study says of itself, and pages leave none out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.database import Database
from storage.records import ListedStudy, Standing, StudyFilter
from tests.support.databases import database_url
from tests.support.many_studies import fill

NUM_STUDIES = 1000
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("listing")
    with database_url(folder) as url:
        database = Database(url)
        database.upgrade()
        fill(database, NUM_STUDIES, now=NOW)
        yield database
        database.close()


def listed(index: Database, wanted: StudyFilter, **place: int) -> tuple[ListedStudy, ...]:
    with index.read() as transaction:
        return transaction.listing.studies(wanted, **{"limit": NUM_STUDIES, **place})


def test_all_studies_are_listed_and_every_standing_is_among_them(index: Database) -> None:
    studies = listed(index, StudyFilter())
    assert [study.id for study in studies] == list(range(NUM_STUDIES, 0, -1))
    assert {study.standing for study in studies} == set(Standing)


@pytest.mark.parametrize("standing", Standing)
def test_a_filter_finds_the_studies_that_say_so_of_themselves(
    index: Database, standing: Standing
) -> None:
    expected = [study for study in listed(index, StudyFilter()) if study.standing is standing]
    assert expected
    assert list(listed(index, StudyFilter(standing=standing))) == expected


def test_filters_are_taken_together(index: Database) -> None:
    found = listed(index, StudyFilter(standing=Standing.DONE, outcome="POSITIVE", sender="CT1"))
    assert found
    for study in found:
        assert (study.standing, study.outcome) == (Standing.DONE, "POSITIVE")
        assert study.calling_ae_title == "CT1"


def test_pages_follow_each_other_without_a_gap(index: Database) -> None:
    before, seen = None, []
    for _ in range(NUM_STUDIES):
        place = {"limit": 77} | ({} if before is None else {"before": before})
        page = listed(index, StudyFilter(standing=Standing.DONE), **place)
        if not page:
            break
        seen += [study.id for study in page]
        before = seen[-1]
    assert seen == [study.id for study in listed(index, StudyFilter(standing=Standing.DONE))]


def test_a_study_is_found_by_its_number_and_by_that_of_its_job(index: Database) -> None:
    assert [study.id for study in listed(index, StudyFilter(number=500))] == [500]
    assert listed(index, StudyFilter(number=NUM_STUDIES + 1)) == ()


def test_what_waits_says_since_when(index: Database) -> None:
    for study in listed(index, StudyFilter()):
        waits = study.standing not in (Standing.DONE, Standing.FAILED, Standing.CANCELLED)
        assert (study.waits_since is not None) is waits


def test_only_what_ended_after_a_moment_is_told_with_its_times(index: Database) -> None:
    since = NOW - timedelta(hours=24)
    with index.read() as transaction:
        finished, sent = transaction.listing.finished(since), transaction.listing.sent(since)
    assert len(finished) > 100
    for job in finished:
        assert since < job.finished_at < NOW
        assert job.report_seconds >= job.work_seconds > 0
    assert all(since < delivery.sent_at and 1 <= delivery.seconds <= 5 for delivery in sent)


def test_senders_are_known(index: Database) -> None:
    with index.read() as transaction:
        assert transaction.listing.senders() == ("CT-ER", "CT1", "CT2", "ROUTER")

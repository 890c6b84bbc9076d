"""What the index keeps of how studies arrive: ends, interruptions, pauses, counts."""

from datetime import datetime, timedelta

import pytest

from storage.database import Database
from storage.records import Habits, StudyRecord
from tests.support.received import NOW, complete_study, received

SECOND = timedelta(seconds=1)


def register(database: Database, *numbers: int, at: datetime = NOW, study: str = "2.25.1") -> None:
    with database.begin() as transaction:
        for number in numbers:
            instance = received(number, study=study, series=f"{study}.1")
            transaction.studies.register(instance, now=at)


def release(database: Database, *, at: datetime, study_id: int = 1) -> None:
    with database.begin() as transaction:
        transaction.arrivals.release([study_id], now=at)


def study_of(database: Database, study_id: int = 1) -> StudyRecord:
    with database.read() as transaction:
        study = transaction.studies.get(study_id)
    assert study is not None
    return study


def complete(database: Database, study_id: int = 1) -> None:
    with database.begin() as transaction:
        complete_study(transaction, study_id)


def habits(database: Database, *, most: int = 100) -> Habits:
    with database.read() as transaction:
        return transaction.arrivals.habits("CT1", most=most)


def test_the_longest_pause_is_from_a_release_to_the_next_new_image(database: Database) -> None:
    register(database, 1)
    assert study_of(database).longest_pause_seconds is None
    register(database, 2, at=NOW + 9 * SECOND)
    assert study_of(database).longest_pause_seconds is None
    release(database, at=NOW + 10 * SECOND)
    register(database, 1, at=NOW + 15 * SECOND)
    assert study_of(database).longest_pause_seconds is None
    register(database, 3, at=NOW + 17 * SECOND)
    assert study_of(database).longest_pause_seconds == 7
    release(database, at=NOW + 18 * SECOND)
    register(database, 4, at=NOW + 20 * SECOND)
    assert study_of(database).longest_pause_seconds == 7


def test_an_image_too_late_for_the_completion_was_a_pause_too(database: Database) -> None:
    register(database, 1)
    release(database, at=NOW)
    complete(database)
    register(database, 2, at=NOW + 8 * SECOND)
    assert study_of(database).longest_pause_seconds == 8


def test_who_comes_back_much_later_made_no_pause(database: Database) -> None:
    register(database, 1)
    release(database, at=NOW)
    complete(database)
    register(database, 2, at=NOW + timedelta(hours=1))
    assert study_of(database).longest_pause_seconds is None


def test_what_is_fetched_is_no_pause_of_the_sender(database: Database) -> None:
    register(database, 1)
    release(database, at=NOW)
    with database.begin() as transaction:
        transaction.arrivals.resume(1)
    register(database, 2, at=NOW + 8 * SECOND)
    assert study_of(database).longest_pause_seconds is None


def test_habits_are_learned_from_the_latest_studies_that_were_complete(database: Database) -> None:
    for number, pause in enumerate((30, 0, 2)):
        uid = f"2.25.{number}"
        register(database, 10 * number, study=uid)
        release(database, at=NOW, study_id=number + 1)
        if pause:
            register(database, 10 * number + 1, study=uid, at=NOW + pause * SECOND)
        complete(database, number + 1)
    register(database, 99, study="2.25.99")
    assert habits(database) == Habits(num_studies=3, longest_pause_seconds=30)
    assert habits(database, most=2) == Habits(num_studies=2, longest_pause_seconds=2)
    with database.read() as transaction:
        assert transaction.arrivals.habits("CT2", most=9) == Habits(0, 0.0)


def test_an_interruption_counts_until_the_study_is_complete(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        transaction.arrivals.interrupt([1])
    register(database, 2)
    assert study_of(database).is_interrupted
    complete(database)
    register(database, 3)
    assert not study_of(database).is_interrupted


def test_a_count_is_of_the_images_up_to_the_completion(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        transaction.studies.expect(1, 7, by="somebody")
    register(database, 2)
    assert study_of(database).expected_instances == 7
    complete(database)
    register(database, 3)
    assert (study_of(database).expected_instances, study_of(database).expected_by) == (None, None)


@pytest.mark.parametrize("geometry", [None, '{"instance_number":1}'])
def test_images_are_listed_with_their_places(database: Database, geometry: str | None) -> None:
    instance = received(1)
    with database.begin() as transaction:
        placed = type(instance)(**{**vars(instance), "geometry_json": geometry})
        transaction.studies.register(placed, now=NOW)
    with database.read() as transaction:
        (image,) = transaction.arrivals.images(1)
        assert transaction.arrivals.is_held(image.sop_instance_uid)
        assert not transaction.arrivals.is_held("1.2.3")
    assert (image.series_instance_uid, image.geometry_json) == ("2.25.1.1", geometry)

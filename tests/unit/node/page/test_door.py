"""Who may come in, how often somebody may be wrong, and what the trail is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.settings import PageSettings
from node.audit.codes import Event, EventType, Outcome
from node.audit.messages import Message
from node.page import passwords
from node.page.door import TOO_MANY, WRONG, Door, Refused, form_token_of, is_form_token
from storage.database import Database
from storage.records import AccountRole
from tests.support.databases import database_url

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
RIGHT = "a quiet afternoon in may"


class House:
    """A door with a clock that stands still, and what the trail was told."""

    def __init__(self, database: Database, **settings: float) -> None:
        self.now, self.told = NOW, list[Message]()
        self.database = database
        self.door = Door(
            database,
            PageSettings.model_validate({"sign_in_attempts": 3} | settings),
            self.told.append,
            clock=lambda: self.now,
        )

    def sign_in(self, password: str = RIGHT, name: str = "vera", address: str = "10.0.0.1") -> str:
        return self.door.sign_in(name, password, address=address)

    def refuses(self, *args: str, **named: str) -> str:
        with pytest.raises(Refused) as refused:
            self.sign_in(*args, **named)
        return str(refused.value)

    def knows(self, token: str, *, by_hand: bool = True) -> bool:
        return self.door.visitor(token, address="10.0.0.1", by_hand=by_hand) is not None


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with database_url(tmp_path) as url:
        database = Database(url)
        database.upgrade()
        with database.begin() as transaction:
            digest = passwords.digest(RIGHT)
            for name in ("vera", "otto"):
                transaction.accounts.add(name, AccountRole.VIEWER, password_hash=digest, now=NOW)
        yield House(database)
        database.close()


def test_whoever_signs_in_is_known_until_they_sign_out(house: House) -> None:
    token = house.sign_in()
    visitor = house.door.visitor(token, address="10.0.0.1", by_hand=True)
    assert visitor is not None
    assert visitor.person.user_id == "vera"
    house.door.sign_out(visitor)
    assert not house.knows(token)
    types = [message.event_type for message in house.told]
    assert types == [EventType.LOGIN, EventType.LOGOUT]
    assert all(message.event is Event.USER_AUTHENTICATION for message in house.told)


def test_the_index_holds_no_token(house: House) -> None:
    token = house.sign_in()
    with house.database.read() as transaction:
        later = NOW + timedelta(minutes=1)
        assert transaction.accounts.session(token, now=later, idle=timedelta(1)) is None


def test_a_wrong_password_and_an_unknown_name_are_refused_in_the_same_words(house: House) -> None:
    assert house.refuses("wrong") == house.refuses(RIGHT, "nobody") == WRONG
    assert [message.outcome for message in house.told] == [Outcome.MINOR_FAILURE] * 2
    assert "wrong" not in str(house.told[0].participants)


def test_after_some_wrong_passwords_not_even_the_right_one_is_tried(house: House) -> None:
    for number in range(3):
        assert house.refuses("wrong", address=f"10.0.0.{number}") == WRONG
    assert house.refuses(address="10.0.0.9") == TOO_MANY
    assert len(house.told) == 3
    assert "no further one is tried" in house.told[-1].description
    house.now += timedelta(minutes=16)
    assert house.sign_in()


def test_an_address_is_counted_over_all_names(house: House) -> None:
    for number in range(3):
        house.refuses("wrong", f"guess{number}")
    assert house.refuses(name="otto") == TOO_MANY
    assert house.sign_in(name="otto", address="10.0.0.2")


def test_the_right_password_is_no_wrong_one(house: House) -> None:
    for _ in range(5):
        house.sign_in()
    house.refuses("wrong")
    house.refuses("wrong")
    house.sign_in()
    assert house.refuses("wrong") == WRONG


def test_what_a_page_asks_by_itself_keeps_nobody_in(house: House) -> None:
    clicks, looks = house.sign_in(), house.sign_in(name="otto")
    for _ in range(7):
        house.now += timedelta(minutes=10)
        house.knows(clicks)
        house.knows(looks, by_hand=False)
    assert house.knows(clicks)
    assert not house.knows(looks)


def test_a_form_is_genuine_with_the_token_of_its_own_cookie_alone() -> None:
    assert is_form_token(form_token_of("one"), "one")
    assert not is_form_token(form_token_of("one"), "two")
    assert not is_form_token("", "one")
    assert not is_form_token("é", "one")

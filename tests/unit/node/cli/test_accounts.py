"""``midline accounts``: passwords come by standard input, and the trail tells who changed what."""

import json
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from config.settings import Settings, load_settings
from node.audit.messages import from_json
from node.cli.service import page_of
from node.page import passwords
from storage.database import Database
from storage.records import AccountRole
from tests.unit.node.cli.conftest import Run

GOOD = "a quiet afternoon in may"


@pytest.fixture
def settings(config: Path) -> Settings:
    return load_settings(config)


@pytest.fixture(autouse=True)
def quick_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", quick)


def told(database: Database) -> list[str]:
    with database.read() as transaction:
        return [from_json(r.message_json).description for r in transaction.audit.latest(10)]


def test_an_account_is_made_listed_changed_and_removed(run: Run, database: Database) -> None:
    assert run("accounts", "add", "otto", "--role", "operator", typed=f"{GOOD}\n").exit_code == 0
    with database.read() as transaction:
        account, digest = (
            transaction.accounts.get("otto"),
            transaction.accounts.password_hash("otto"),
        )
    assert account is not None
    assert account.role is AccountRole.OPERATOR
    assert passwords.is_right(GOOD, digest)
    listed = run("accounts", "list", "--json").stdout
    assert [each["name"] for each in json.loads(listed)] == ["otto"]
    assert "argon2" not in listed + run("accounts", "list").stdout
    assert run("accounts", "password", "otto", typed="seven blue herons fly\n").exit_code == 0
    with database.read() as transaction:
        assert not passwords.is_right(GOOD, transaction.accounts.password_hash("otto"))
    assert run("accounts", "remove", "otto").exit_code == 0
    with database.read() as transaction:
        assert not transaction.accounts.any()
    assert told(database) == [
        "accounts add --role operator",
        "accounts password",
        "accounts remove",
    ]


def test_a_password_is_never_an_argument(run: Run, database: Database) -> None:
    done = run("accounts", "add", "otto", GOOD, typed="\n")
    assert done.exit_code == 2
    assert run("accounts", "add", "otto", "--password", GOOD).exit_code == 2


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (("add", "a b"), GOOD, "the name of an account"),
        (("add", "vera"), "short", "12 to 256 characters"),
        (("add", "vera"), "", "12 to 256 characters"),
        (("password", "nobody"), GOOD, "there is no account nobody"),
        (("remove", "nobody"), GOOD, "there is no account nobody"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    run: Run, database: Database, words: tuple[str, ...], typed: str, said: str
) -> None:
    done = run("accounts", *words, typed=f"{typed}\n")
    assert done.exit_code == 2
    assert said in done.stderr
    assert told(database) == []


def test_a_name_is_given_once(run: Run, database: Database) -> None:
    assert run("accounts", "add", "vera", typed=f"{GOOD}\n").exit_code == 0
    again = run("accounts", "add", "vera", typed=f"{GOOD}\n")
    assert again.exit_code == 2
    assert "midline accounts password vera changes it" in again.stderr


def test_serve_starts_the_page_once_somebody_could_sign_in(
    run: Run, database: Database, settings: Settings
) -> None:
    with_page, said = page_of(settings)
    assert not with_page
    assert "midline accounts add NAME" in said
    run("accounts", "add", "vera", typed=f"{GOOD}\n")
    assert page_of(settings) == (True, "web page at http://127.0.0.1:8080")
    off = settings.model_copy(update={"page": settings.page.model_copy(update={"enabled": False})})
    assert not page_of(off)[0]


def test_serve_starts_it_for_figures_too(database: Database, settings: Settings) -> None:
    metrics = settings.metrics.model_copy(update={"enabled": True})
    with_page, said = page_of(settings.model_copy(update={"metrics": metrics}))
    assert with_page
    assert "/metrics" in said
    assert "nobody can sign in" in said

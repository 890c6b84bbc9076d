"""The web page on a real port, for real HTTP clients and browsers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from config.settings import Settings
from node.page import passwords
from node.page.server import assembled, bound, serving
from node.roles import prepare
from storage.database import Database
from storage.records import AccountRole

PASSWORDS = {"vera": "a quiet afternoon in may", "otto": "seventeen blue herons fly"}
ROLES = {"vera": AccountRole.VIEWER, "otto": AccountRole.OPERATOR}


@dataclass(frozen=True)
class PageSite:
    """A page that runs."""

    url: str
    database: Database
    settings: Settings

    @contextmanager
    def client(self, **options: Any) -> Iterator[httpx.Client]:
        """Open a client that nobody signed in with."""
        with httpx.Client(base_url=self.url, **options) as client:
            yield client

    @contextmanager
    def signed_in(self, name: str = "vera", **options: Any) -> Iterator[httpx.Client]:
        """Open a client of a person."""
        with self.client(**options) as client:
            answer = sign_in(client, name, PASSWORDS[name])
            assert answer.status_code == 303, answer.text
            yield client


def token_in(text: str) -> str:
    """Find the token of the forms of a page."""
    found = re.search(r'name="token" value="([0-9a-f]{64})"', text)
    assert found is not None, text
    return found.group(1)


def sign_in(client: httpx.Client, name: str, password: str) -> httpx.Response:
    """Sign in as a browser does: by the form."""
    form = {"token": token_in(client.get("/sign-in").text), "name": name, "password": password}
    return client.post("/sign-in", data=form)


def post(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a form as a browser does that has just loaded the page."""
    return client.post(path, data={"token": token_in(client.get("/").text), **fields})


def settings_in(folder: Path, **tables: Any) -> Settings:
    """Make settings of a node in a folder, its page on a free port."""
    given: dict[str, Any] = {"storage": {"folder": folder / "data", "reserve_bytes": 0}}
    given |= {"page": {"port": 0, "refresh_seconds": 0.5}}
    for name, values in tables.items():
        given[name] = {**given.get(name, {}), **values} if isinstance(values, dict) else values
    return Settings(**given)


@contextmanager
def page_site(settings: Settings) -> Iterator[PageSite]:
    """Serve the page of a node, with an account of each role."""
    prepare(settings)
    database = Database(settings.storage.url)
    now = datetime.now(UTC)
    with database.begin() as transaction:
        for name, role in ROLES.items():
            digest = passwords.digest(PASSWORDS[name])
            transaction.accounts.add(name, role, password_hash=digest, now=now)
    listening = bound(settings)
    scheme = "https" if settings.page.tls else "http"
    host = "localhost" if settings.page.tls else "127.0.0.1"
    url = f"{scheme}://{host}:{listening.getsockname()[1]}"
    try:
        with assembled(database, settings) as app, serving(app, settings, listening):
            yield PageSite(url, database, settings)
    finally:
        database.close()

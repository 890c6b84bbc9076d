"""How soon the web page answers when many look at it: 10,000 studies, 200 requests a second.

::

    python -m benchmarks.page --out benchmarks/results/page.json

The page runs as a process of its own, as ``midline serve`` starts it. Requests begin when they are
due, whether or not earlier ones have been answered, so a page that cannot keep up is seen to fall
behind; an answer's time counts from when it was due. Twenty people look, with sessions of their
own: mostly open pages that ask what changed, some that turn pages and choose filters, and some
that open a study, which the audit trail is told of.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from benchmarks.surroundings import describe
from config.settings import Settings
from node.page import passwords
from node.roles import prepare
from storage.database import Database
from storage.records import AccountRole, Standing
from tests.support.many_studies import fill
from tests.support.pacs import free_port
from tests.support.page_site import token_in
from tests.support.waiting import eventually, port_is_open

NUM_PEOPLE = 20
PASSWORD = "a quiet afternoon in may"  # noqa: S105 - of accounts that end with the benchmark
LONGEST_SECONDS = 30.0
SEED = 20_261_124
KINDS = {
    "open queue": 0.60,
    "another page or filter": 0.20,
    "open destinations, node": 0.10,
    "open study": 0.06,
    "whole page": 0.02,
    "study, told to the trail": 0.02,
}
"""Share of each kind of request."""


@dataclass(frozen=True)
class Answer:
    """What came of a request.

    Attributes
    ----------
    status
        Of HTTP; 0 if there was no answer.
    seconds
        Since it was due.
    """

    kind: str
    status: int
    seconds: float


class Person:
    """Somebody with a browser: a session, and what their open pages have."""

    def __init__(self, url: str, chance: random.Random) -> None:
        limits = httpx.Limits(max_connections=6, max_keepalive_connections=6)
        self._client = httpx.AsyncClient(base_url=url, limits=limits, timeout=LONGEST_SECONDS)
        self._tags: dict[str, str] = {}
        self._chance = chance

    async def sign_in(self, name: str) -> None:
        """Sign in by the form."""
        token = token_in((await self._client.get("/sign-in")).text)
        form = {"token": token, "name": name, "password": PASSWORD}
        answer = await self._client.post("/sign-in", data=form)
        if answer.status_code != 303:
            raise RuntimeError(f"{name} could not sign in ({answer.status_code})")

    async def ask(self, kind: str, num_studies: int, due: float) -> Answer:
        """Ask for something, and wait for the answer.

        Parameters
        ----------
        kind
            One of `KINDS`.
        num_studies
            Whose numbers may be asked for.
        due
            When the request was to begin, by the monotonic clock.
        """
        path = self._path(kind, num_studies)
        headers = {"If-None-Match": self._tags[path]} if path in self._tags else {}
        try:
            answer = await self._client.get(path, headers=headers)
            status = answer.status_code
            if "etag" in answer.headers:
                self._tags[path] = answer.headers["etag"]
        except httpx.HTTPError:
            status = 0
        return Answer(kind, status, time.monotonic() - due)

    async def leave(self) -> None:
        """Close the browser."""
        await self._client.aclose()

    def _path(self, kind: str, num_studies: int) -> str:
        number = self._chance.randint(1, num_studies)
        standing = self._chance.choice(list(Standing))
        match kind:
            case "open queue":
                return "/live/queue?"
            case "another page or filter":
                return self._chance.choice(
                    [f"/live/queue?before={number}", f"/live/queue?standing={standing}"]
                )
            case "open destinations, node":
                return self._chance.choice(["/live/destinations", "/live/node"])
            case "open study":
                return f"/live/studies/{number}"
            case "whole page":
                return self._chance.choice(["/", "/destinations", "/node", "/plots"])
        return f"/studies/{number}"


async def load(url: str, *, num_studies: int, rate: float, seconds: float) -> list[Answer]:
    """Ask at a rate for a while, and wait for the last answers."""
    chance = random.Random(SEED)  # noqa: S311 - what is asked, not who may ask
    people = [Person(url, chance) for _ in range(NUM_PEOPLE)]
    for number, person in enumerate(people):
        await person.sign_in(f"person{number}")
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=round(rate * seconds))
    begin, asked = time.monotonic() + 0.5, []
    for number, kind in enumerate(kinds):
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        person = people[number % NUM_PEOPLE]
        asked.append(asyncio.create_task(person.ask(kind, num_studies, due)))
    answers = await asyncio.gather(*asked)
    for person in people:
        await person.leave()
    return list(answers)


@contextmanager
def running_page(folder: Path, num_studies: int) -> Iterator[tuple[str, int]]:
    """Run ``midline page`` on an index with many studies; its address, and its process."""
    settings = Settings.model_validate({"storage": {"folder": folder, "reserve_bytes": 0}})
    prepare(settings)
    database = Database(settings.storage.url)
    now, digest = datetime.now(UTC), passwords.digest(PASSWORD)
    fill(database, num_studies, now=now)
    with database.begin() as transaction:
        for number in range(NUM_PEOPLE):
            transaction.accounts.add(
                f"person{number}", AccountRole.VIEWER, password_hash=digest, now=now
            )
    database.close()
    port = free_port()
    environment = {
        **os.environ,
        "MIDLINE_STORAGE__FOLDER": str(folder),
        "MIDLINE_PAGE__PORT": str(port),
    }
    with subprocess.Popen([sys.executable, "-m", "node.cli", "page"], env=environment) as process:
        try:
            eventually(lambda: port_is_open(port), seconds=60)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()


def cpu_seconds(pid: int) -> float:
    """Time that a process has computed for, s; Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def summary(answers: list[Answer]) -> dict[str, object]:
    """Put the times of the answers together, ms, in all and by kind."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        by_kind["all"].append(1000 * answer.seconds)
        by_kind[answer.kind].append(1000 * answer.seconds)
    percentiles = {
        kind: {
            "requests": len(times),
            **{f"p{p}_ms": round(float(np.percentile(times, p)), 1) for p in (50, 95, 99, 100)},
        }
        for kind, times in by_kind.items()
    }
    statuses = Counter(answer.status for answer in answers)
    errors = sum(count for status, count in statuses.items() if status not in (200, 304))
    return {
        "errors": errors,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "answers": percentiles,
    }


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    surroundings = describe()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_page(Path(folder), given.studies) as (url, pid),
    ):
        before = cpu_seconds(pid)
        answers = asyncio.run(
            load(url, num_studies=given.studies, rate=given.rate, seconds=given.seconds)
        )
        cpu_ms = 1000 * (cpu_seconds(pid) - before) / len(answers)
    found = {
        "surroundings": surroundings,
        "load_averages_after": [round(each, 2) for each in os.getloadavg()],
        "studies": given.studies,
        "requests_a_second": given.rate,
        "seconds": given.seconds,
        "cpu_ms_for_each_request": round(cpu_ms, 2),
        **summary(answers),
    }
    print(json.dumps(found, indent=2))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

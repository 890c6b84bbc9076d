"""docs/commands.md: every command, and what it writes on a small node made for it.

``python -m tests.support.commands_page docs/commands.md`` writes it; a test compares it with what
this version writes. Times, digests and whatever else differs from run to run are replaced by values
of the same length.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import typer
from typer.testing import CliRunner

from node.cli import app
from node.cli.schemas import file_name, written
from node.engine import Queues, migrate
from storage.database import Database
from storage.files import FileStore
from storage.records import AccountRole, NewWorker
from tests.support.pacs import running_pacs
from tests.support.received import made, received

SETTINGS = """
[storage]
folder = "data"
[retention]
keep_days = 30
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {port}
"""

RUN: tuple[str, ...] = (
    "status",
    "queue list",
    "queue list --sender CT1 --outcome POSITIVE --since 2d",
    "queue show 1",
    "queue prioritise 3 STAT",
    "queue retry 2",
    "queue retry 2 --deliveries",
    "queue cancel 3",
    "queue readmit 4",
    "retention show",
    "retention run --dry-run",
    "reprocess 1",
    "drain --role analyse",
    "resume",
    "peers list",
    "peers test pacs",
    "peers forget pacs",
    "audit show --limit 3",
    "audit verify",
    "notifications list",
    "accounts list",
    "accounts remove anna",
    "db check",
    "db backup midline.backup",
    "config check",
    "config show --given",
    "config explain node.port",
)
"""Run in this order on one node: what one changes, the next may show."""

SHOWN: tuple[str, ...] = (
    "serve",
    "listen",
    "analyse --device cuda:1",
    "deliver",
    "page",
    "queue list --watch",
    "doctor",
    "conformance --out conformance.md",
    "schemas --out schemas",
    "config example --out midline.toml",
    "config reference --out settings.md",
    "accounts add anna --role operator",
    "accounts password anna",
    "audit export --format xml --since 2030-01-01 --out trail.xml",
    "notifications retry",
    "notifications test pager",
    "db upgrade",
    "demo",
    "demo --viewer --ohif ohif/package/dist",
    "segment study --out result",
    "send study --to MIDLINE@127.0.0.1:11112",
    "echo PACS@pacs.hospital.example:104",
    "synth studies --studies 5",
    "certs certificates",
    "report read report.dcm",
    "train --help",
    "evaluate --help",
    "reproduce --help",
    "experiment --help",
    "data prepare source --layout nifti --out data",
    "data phantoms --out data --num 100",
    "data show data",
)
"""Examples that last, need something from outside, or write what another document holds."""

VOLATILE: tuple[tuple[str, str], ...] = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2030-01-31 08:30:00 UTC"),
    (r"\b[0-9a-f]{64}\b", "0" * 64),
    (r" *\d+\.\d ms", "1.2 ms"),
    (r" *[\d.]+ s ago", "2.0 s ago"),
    (r"\d+\.\d of \d+\.\d GiB", "412.0 of 916.0 GiB"),
    (r"[\d.]+ MB", "0.5 MB"),
)

INTRODUCTION = """# Commands

Made from the program itself, by `make docs`: every command with an example. What is below a
command is what it writes; times, digests and measured values differ each time. `midline COMMAND
--help` tells all options.

- Every command of the operator works while the node runs, on SQLite and on PostgreSQL. With
  PostgreSQL it works from another machine too: it needs the settings and the database. What looks
  into the file store says so: `reprocess` and `queue retry` look whether the images are there,
  `retention` removes them, `db check` reads them, `status` shows the room for them.
- With `--json` it writes JSON; the schemas are in docs/schemas.
- What changes something, or shows a single study, is in the audit trail with the person who did it.
- Exit codes: 0 done, 1 it could not be done, 2 it cannot be asked for, 130 interrupted.
"""


@dataclass(frozen=True)
class Command:
    """A command, its words and the first sentences of its help."""

    words: tuple[str, ...]
    help: str


def commands() -> tuple[Command, ...]:
    """List every command, in the order of the program's own help."""

    def inner(command: Any, words: tuple[str, ...]) -> Iterator[Command]:
        names = command.list_commands(None) if hasattr(command, "list_commands") else ()
        for name in names:
            yield from inner(command.get_command(None, name), (*words, name))
        if not names:
            yield Command(words, " ".join((command.help or "").split("\n\n")[0].split()))

    return tuple(inner(typer.main.get_command(app), ()))


def page() -> str:
    """Write the document."""
    examples: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(_as_anna())
        pacs = stack.enter_context(running_pacs())
        Path("midline.toml").write_text(SETTINGS.format(port=pacs.peer.port), encoding="utf-8")
        _fill(Path("data"))
        for example in RUN:
            examples[example] = _written_by(example).replace(str(pacs.peer.port), "11104")
    examples |= dict.fromkeys(SHOWN, "")
    sections = [_section(command, examples) for command in commands()]
    return "\n".join([INTRODUCTION, _table(examples), *sections])


def _table(examples: dict[str, str]) -> str:
    rows = ["| command | what it does | JSON |", "|---|---|---|"]
    for command in commands():
        name = " ".join(command.words)
        schema = (
            f"[schema](schemas/{file_name(command.words)})" if command.words in written() else ""
        )
        rows.append(
            f"| [`{name}`](#midline-{name.replace(' ', '-')}) | {command.help} | {schema} |"
        )
    return "\n".join(rows) + "\n"


def _section(command: Command, examples: dict[str, str]) -> str:
    name = " ".join(command.words)
    own = [e for e in examples if tuple(e.split()[: len(command.words)]) == command.words]
    if not own:
        raise AssertionError(f"midline {name} has no example in tests/support/commands_page.py")
    blocks = [f"```\n$ midline {example}\n{examples[example]}```\n" for example in own]
    return "\n".join([f"## midline {name}\n", f"{command.help}\n", *blocks])


def _written_by(example: str) -> str:
    result = CliRunner().invoke(
        app, ["--config", "midline.toml", *example.split()], prog_name="midline"
    )
    text = "\n".join(line.rstrip() for line in result.output.splitlines())
    for pattern, replacement in VOLATILE:
        text = re.sub(pattern, lambda m, r=replacement: r.rjust(len(m[0])), text)
    return f"{text}\n"


@contextlib.contextmanager
def _as_anna() -> Iterator[None]:
    """Let the operating system call the person by a name that is the same everywhere."""
    anna = mock.Mock(pw_name="anna")
    settings = {"COLUMNS": "160", "NO_COLOR": "1", "SUDO_USER": ""}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MIDLINE_")} | settings
    with (
        mock.patch("pwd.getpwuid", return_value=anna),
        mock.patch.dict(os.environ, kept, clear=True),
    ):
        yield


def _fill(folder: Path) -> None:
    """Make a node that has worked: of four studies one is done, and each other one is not."""
    database = Database(f"sqlite:///{folder / 'midline.sqlite'}")
    database.upgrade()
    migrate(database)
    now = datetime.now(UTC)
    files = FileStore(folder / "files", reserve_bytes=0)
    jobs = []
    for number, hours in ((1, 30.5), (2, 20.5), (3, 0.6), (4, 0.4)):
        image = received(number, study=f"2.25.{number}", series=f"2.25.{number}.1")
        files.write_received([bytes(image.num_bytes)], sha256=image.sha256)
        jobs.append(_job(database, number, now - timedelta(hours=hours)))
    queues = Queues(database.engine)
    with database.begin() as transaction:
        queues.analyse(transaction.session, jobs[2])
        transaction.studies.quarantine("2.25.4")
        transaction.refusals.note(
            "pacs",
            ["1.2.840.10008.5.1.4.1.1.66.4"],
            answer="PACS does not take SOP class 1.2.840.10008.5.1.4.1.1.66.4",
            now=now - timedelta(days=3, hours=1),
        )
        for role, device, pid in (("analyse", "cuda:0", 4711), ("deliver", "cpu", 4712)):
            worker = NewWorker(f"{role}-1", role, "ward-7", pid, device)
            transaction.workers.beat(worker, now=now - timedelta(hours=31.5))
            transaction.workers.beat(worker, now=transaction.now())
        transaction.accounts.add(
            "anna", AccountRole.OPERATOR, password_hash="", now=now - timedelta(days=3, hours=1)
        )
    queues.close()
    _end(database, jobs[0], "POSITIVE", now - timedelta(hours=30.5), arrived=True)
    _end(database, jobs[1], "NEGATIVE", now - timedelta(hours=20.5), arrived=False)
    with database.read() as transaction:
        for result in (*transaction.results.of_job(jobs[0]), *transaction.results.of_job(jobs[1])):
            files.path(result.path).parent.mkdir(parents=True, exist_ok=True)
            files.path(result.path).write_bytes(b"result")
    database.close()


def _job(database: Database, number: int, at: datetime) -> int:
    """Receive an image, complete its study and enter the job."""
    image = received(number, study=f"2.25.{number}", series=f"2.25.{number}.1")
    with database.begin() as transaction:
        study_id = transaction.studies.register(image, now=at).study_id
        complete = transaction.studies.complete(
            study_id, last_received_at=at, now=at + timedelta(seconds=5), evidence="quiet"
        )
        assert complete is not None
        return transaction.jobs.create(
            study_id, complete.generation, now=at + timedelta(seconds=5)
        ).id


def _end(database: Database, job_id: int, outcome: str, at: datetime, *, arrived: bool) -> None:
    """Let an analysis end, and its results arrive or not."""
    results = [made("SEG", 0, job_id=job_id), made("PAGE", 1, job_id=job_id)]
    results.append(made("SR", 2, job_id=job_id))
    with database.begin() as transaction:
        transaction.jobs.start(job_id, "analyse-1", now=at + timedelta(seconds=6))
        transaction.jobs.finish(
            job_id,
            outcome=outcome,
            model="sym-transnet-lite 1",
            findings_json='{"volume_ml": {"IPH": 3.2}}' if outcome == "POSITIVE" else None,
            now=at + timedelta(seconds=42),
        )
        transaction.results.record(job_id, results, ["pacs"], now=at + timedelta(seconds=42))
        deliveries = transaction.results.deliveries(job_id=job_id)
        if not arrived:
            transaction.results.mark_dead(
                [each.id for each in deliveries],
                error="no association with PACS@127.0.0.1:11104: no connection, or no answer",
                now=at + timedelta(hours=1),
            )
            return
        for each in deliveries:
            transaction.results.mark_sent(each.id, now=at + timedelta(seconds=44))
        transaction.commitments.mark_committed(
            [each.id for each in deliveries], now=at + timedelta(seconds=50)
        )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8", newline="\n")

"""What ``--json`` writes is what docs/schemas says, for real outputs of a node with work in it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator

from node.cli import app
from node.cli.schemas import file_name, schema_of, text_of, written
from storage.database import Database
from storage.records import AccountRole, ConflictKind, JobRecord, NewWorker
from tests.support.pacs import running_pacs
from tests.support.received import NOW, queued_job, received
from tests.unit.node.cli.conftest import Run

DOCS = Path(__file__).parents[4] / "docs" / "schemas"
FREE = {("config", "check"), ("config", "show"), ("config", "explain"), ("doctor",)}
"""Commands of the operator whose JSON follows the settings or the machine, not a type."""
TOOLS = {
    "segment",
    "send",
    "echo",
    "train",
    "evaluate",
    "reproduce",
    "experiment",
    "report",
    "data",
}
"""Not for the operator of a node; their JSON is described where they are."""


def closed(schema: Any) -> Any:
    """Allow no members but those that are described: an output with more is not documented."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if "required" in schema else inner


def validated(run: Run, words: tuple[str, ...], *more: str, code: int = 0) -> Any:
    """Run a command with ``--json``, and hold what it writes against its schema."""
    result = run(*words, *more, "--json")
    assert result.exit_code == code, result.output
    value = json.loads(result.stdout)
    Draft202012Validator(closed(schema_of(words))).validate(value)
    return value


@pytest.fixture
def busy(database: Database, job: JobRecord) -> JobRecord:
    """Give the node something of everything that it can show."""
    queued_job(database, number=2, study="2.25.2")
    with database.begin() as transaction:
        now = transaction.now()
        transaction.workers.beat(NewWorker("a", "analyse", "host", 17, "cuda:0"), now=now)
        silent = now - timedelta(hours=1)
        transaction.workers.beat(NewWorker("b", "deliver", "host", 18, "cpu"), now=silent)
        transaction.refusals.note("pacs", ["1.2.3"], answer="does not take it", now=NOW)
        transaction.studies.record_conflict(
            received(3), kind=ConflictKind.PATIENT, path="conflicts/1.dcm", now=NOW
        )
        transaction.studies.quarantine("2.25.2")
        transaction.drains.begin("analyse", now=now)
        transaction.accounts.add("anna", AccountRole.OPERATOR, password_hash="x", now=NOW)  # noqa: S106
    return job


@pytest.mark.parametrize("words", sorted(written()), ids="-".join)
def test_the_schemas_in_the_documents_are_those_of_this_version(words: tuple[str, ...]) -> None:
    schema = schema_of(words)
    Draft202012Validator.check_schema(schema)
    assert (DOCS / file_name(words)).read_text(encoding="utf-8") == text_of(words)


def test_no_other_schemas_are_there() -> None:
    assert {path.name for path in DOCS.iterdir()} == {file_name(words) for words in written()}


def test_every_command_for_operators_that_writes_json_has_a_schema() -> None:
    with_json = set()

    def collect(command: Any, words: tuple[str, ...]) -> None:
        names = command.list_commands(None) if hasattr(command, "list_commands") else ()
        for name in names:
            collect(command.get_command(None, name), (*words, name))
        if any("--json" in parameter.opts for parameter in command.params):
            with_json.add(words)

    collect(typer.main.get_command(app), ())
    for_operators = {words for words in with_json if words[0] not in TOOLS}
    assert for_operators - FREE == set(written())


def test_lists_are_as_their_schemas_say(run: Run, busy: JobRecord) -> None:
    status = validated(run, ("status",))
    for member in ("workers", "refusals", "quarantined", "conflicts", "draining", "destinations"):
        assert status[member], member
    assert len(validated(run, ("queue", "list"))) == 2
    shown = validated(run, ("queue", "show"), str(busy.id))
    assert shown["results"]
    assert shown["deliveries"]
    assert validated(run, ("peers", "list"))["refusals"]
    assert validated(run, ("accounts", "list"))
    assert validated(run, ("audit", "show"))
    validated(run, ("notifications", "list"))
    assert validated(run, ("audit", "verify"))["num_messages"] > 0


def test_what_upkeep_says_is_as_its_schemas_say(run: Run, busy: JobRecord, tmp_path: Path) -> None:
    validated(run, ("db", "check"), code=1)  # nothing lies in the store
    assert validated(run, ("db", "backup"), str(tmp_path / "copy"))["num_bytes"] > 0
    validated(run, ("retention", "show"))
    validated(run, ("retention", "run"))


def test_what_peers_say_is_as_its_schema_says(run: Run, config: Path) -> None:
    (absent,) = validated(run, ("peers", "test"), code=1)
    assert absent["answered"] is None
    with running_pacs() as pacs:
        config.write_text(config.read_text().replace("port = 104", f"port = {pacs.peer.port}"))
        (there,) = validated(run, ("peers", "test"))
    assert there["answered"]["offers"]

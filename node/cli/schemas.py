"""``midline schemas``: what ``--json`` writes, as JSON Schemas made from the values themselves."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_args

import typer

from config.errors import UsageError
from node.cli import audit, database, notifying, retention
from node.cli.border import complain
from node.operating.jobs import JobDetail, JobEntry
from node.operating.overview import Overview
from node.operating.peers import PeerList
from node.retention import Removed
from storage.records import AccountRecord, AuditHead

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SUFFIX = ".schema.json"


def _probed() -> Any:
    from node.operating.probing import ProbedPeer  # noqa: PLC0415 - the network takes a second

    return tuple[ProbedPeer, ...]


def written() -> Mapping[tuple[str, ...], Any]:
    """Give the type of what each command writes with ``--json``."""
    return MappingProxyType(
        {
            ("status",): Overview,
            ("queue", "list"): tuple[JobEntry, ...],
            ("queue", "show"): JobDetail,
            ("peers", "list"): PeerList,
            ("peers", "test"): _probed(),
            ("retention", "show"): tuple[retention.KeptStudy, ...],
            ("retention", "run"): Removed,
            ("audit", "show"): tuple[audit.ShownMessage, ...],
            ("audit", "verify"): AuditHead,
            ("accounts", "list"): tuple[AccountRecord, ...],
            ("notifications", "list"): notifying.Listing,
            ("db", "check"): database.Checked,
            ("db", "backup"): database.BackUp,
        }
    )


def schemas(
    *,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder to write; without it, the screen.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder to compare; nothing is written."),
    ] = None,
) -> None:
    """Write JSON Schemas of what the commands write with --json, one file for each."""
    if out is not None and check is not None:
        raise UsageError("--out and --check exclude each other")
    texts = {file_name(words): text_of(words) for words in written()}
    if check is not None:
        _compare(check, texts)
        return
    for name, text in texts.items():
        if out is None:
            typer.echo(text, nl=False)
        else:
            _write(out / name, text)


def file_name(words: tuple[str, ...]) -> str:
    """Name the file of a command's schema."""
    return "-".join(words) + SUFFIX


def text_of(words: tuple[str, ...]) -> str:
    """Write the schema of what a command writes with ``--json``."""
    return json.dumps(schema_of(words), indent=2, ensure_ascii=False) + "\n"


def schema_of(words: tuple[str, ...]) -> dict[str, Any]:
    """Make the schema of what a command writes with ``--json``.

    Later versions of the node may write more members; those that stand here stay.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - only this needs it

    kind = written()[words]
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    parts = schema.get("$defs", {})
    for each in _dataclasses(kind):
        _describe(parts.get(each.__name__, schema), each)
    for part in (schema, *parts.values()):
        part.pop("title", None)
        for member in part.get("properties", {}).values():
            member.pop("title", None)
            member.pop("default", None)
    command = " ".join(("midline", *words, "--json"))
    return {"$schema": DIALECT, "title": f"What {command} writes", **schema}


def _describe(part: dict[str, Any], kind: type) -> None:
    """Add to a part of a schema what the source says; all members are always written."""
    from node.documents.sentences import of_attributes  # noqa: PLC0415 - torch takes seconds to load

    sentences: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        sentences |= of_attributes(base)
    part["description"] = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    part["required"] = list(part["properties"])
    for name, member in part["properties"].items():
        if name in sentences:
            member["description"] = re.sub(r"\bNone\b", "null", sentences[name])


def _dataclasses(kind: Any) -> Iterator[type]:
    """Go through the dataclasses that a type is made of."""
    if isinstance(kind, type) and is_dataclass(kind):
        yield kind
        for field in fields(kind):
            yield from _dataclasses(field.type)
    for part in get_args(kind):
        yield from _dataclasses(part)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror})") from error


def _compare(folder: Path, texts: Mapping[str, str]) -> None:
    """Compare byte by byte, since the schemas follow from the code alone."""
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob(f"*{SUFFIX}")}
    if found != dict(texts):
        complain(f"{folder} is not what this version writes: make it anew with --out {folder}")
        raise typer.Exit(1)
    typer.echo(f"{folder} is up to date")

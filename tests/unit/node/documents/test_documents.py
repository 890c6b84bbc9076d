"""The documents are those of this version, and say all that the code's tables hold."""

import ast
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import Reason
from config.settings import DestinationSettings, NodeSettings, Settings
from node.audit.codes import Event
from node.documents import DOCUMENTS, Site, default_settings
from node.documents.absent import NOT_OFFERED, Absent
from node.documents.acceptance import CHECKS
from node.documents.network import verdicts
from node.documents.results import KINDS, NOT_GIVEN
from node.documents.terms import coded_terms
from node.documents.trail import TRIGGERS
from node.listener import ACCEPTED_CLASSES
from node.results import codes
from node.results.outcomes import WORDINGS
from node.selection import Caution, Criteria, Rejection
from node.status import StoreStatus

ROOT = Path(__file__).parents[4]
DOCS = ROOT / "docs"
CONFORMANCE = (DOCS / "conformance.md").read_text(encoding="utf-8")
AIR = (DOCS / "air-capabilities.md").read_text(encoding="utf-8")
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for folder in ("config", "ml", "node")
    for path in sorted((ROOT / folder).rglob("*.py"))
    # the demonstration also sets up other programs, which offer more
    if not {"documents", "demo"} & set(path.parts)
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_are_what_this_version_writes(name: str) -> None:
    made = DOCUMENTS[name](Site.of(default_settings()))
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == made, f"docs/{name} is not what this version writes: run `make docs`"


@pytest.mark.parametrize("status", StoreStatus)
def test_each_status_of_a_response_is_told(status: StoreStatus) -> None:
    assert f"| `0x{status:04X}` |" in CONFORMANCE


@pytest.mark.parametrize("term", coded_terms(), ids=lambda term: term.names[0])
@pytest.mark.parametrize("text", [CONFORMANCE, AIR], ids=["conformance", "air"])
def test_each_code_is_told_with_its_standing(text: str, term: object) -> None:
    row = f"| `{term.code.value}` | {term.code.scheme_designator} | {term.code.meaning} | "  # type: ignore[attr-defined]
    assert row + term.standing.value in text  # type: ignore[attr-defined]


def comments_in_code() -> Iterator[str]:
    """Texts that the node puts into Error Comment, as far as they are constants."""
    for module in ("reception", "custody", "handlers"):
        tree = ast.parse(SOURCES[ROOT / "node" / f"{module}.py"])
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ReceptionError":
                yield from constants(node.args[1])
            if isinstance(node, ast.FunctionDef) and node.name == "status_of":
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Return | ast.Assign) and inner.value is not None:
                        yield from constants(inner.value)


def constants(node: ast.expr) -> Iterator[str]:
    yield from (
        part.value.strip()
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def test_each_error_comment_that_the_code_has_belongs_to_a_check() -> None:
    found = set(comments_in_code())
    assert len(found) >= 12
    told = [check.comment for check in CHECKS]
    assert not {text for text in found if not any(text in comment for comment in told)}


def test_each_check_is_told_in_its_order() -> None:
    places = [CONFORMANCE.index(f"| {check.condition} |") for check in CHECKS]
    assert places == sorted(places)


def test_what_a_received_status_means_is_told_for_every_number() -> None:
    spans = re.findall(r"`0x(\w{4})(?: to 0x(\w{4}))?`", verdicts())
    numbers = [n for a, b in spans for n in range(int(a, 16), int(b or a, 16) + 1)]
    assert numbers == list(range(0x10000))


def test_outcomes_words_gates_and_settings_are_told() -> None:
    for wording in WORDINGS.values():
        assert wording.sentence in CONFORMANCE
        assert f"`{wording.word}`" in CONFORMANCE
    for member in (*Rejection, *Caution):
        assert f"| `{member.value}` |" in CONFORMANCE
    for term in codes.REASONS.values():
        assert f"({term.value}, {term.scheme_designator}," in CONFORMANCE
    for name in (*NodeSettings.model_fields, *DestinationSettings.model_fields):
        assert f".{name}` |" in CONFORMANCE
    for name in Criteria.__dataclass_fields__:
        assert f"| `{name}` |" in CONFORMANCE
    for kind in KINDS:
        assert f"### {kind}: " in CONFORMANCE
    for uid in ACCEPTED_CLASSES:
        assert f"`{uid}`" in CONFORMANCE


@pytest.mark.parametrize(
    "section",
    ["node", "tls", "completion", "delivery", "results", "identity", "retention", "audit"],
)
def test_settings_are_told_that_the_code_reads(section: str) -> None:
    fields = type(Settings.model_fields[section].default).model_fields
    code = "\n".join(SOURCES.values())
    is_read = all(re.search(rf"\.{name}\b", code) for name in fields)
    told = {name for name in fields if f"| `{section}.{name}` |" in CONFORMANCE}
    assert told == (set(fields) if is_read else set()), "see _configuration in conformance.py"


@pytest.mark.parametrize("event", Event)
def test_each_message_of_the_audit_trail_is_told_with_when_it_is_written(event: Event) -> None:
    assert f"{event.value.meaning} (`{event.value.value}`, DCM) | {TRIGGERS[event]}" in CONFORMANCE


@pytest.mark.parametrize("reason", Reason)
def test_reasons_that_nothing_gives_are_told_as_such(reason: Reason) -> None:
    places = ("config/errors.py", "ml", "node")
    given = any(
        f"Reason.{reason.name}" in text
        for path, text in SOURCES.items()
        if path.relative_to(ROOT).as_posix().startswith(places) and path.name != "codes.py"
    )
    assert given == (reason not in NOT_GIVEN)


@pytest.mark.parametrize("absent", NOT_OFFERED, ids=lambda absent: absent.name)
def test_what_is_not_offered_is_not_in_the_code(absent: Absent) -> None:
    assert absent.name in CONFORMANCE
    for sign in absent.signs:
        found = [str(p.relative_to(ROOT)) for p, text in SOURCES.items() if re.search(sign, text)]
        assert not found, f"{absent.name}: {sign} is in {found}; node/documents/absent.py says no"


@pytest.mark.parametrize("text", [CONFORMANCE, AIR], ids=["conformance", "air"])
def test_nothing_of_this_machine_is_told(text: str) -> None:
    host = socket.gethostname()
    assert str(ROOT) not in text
    assert not re.search(rf"\b{re.escape(host)}\b", text)
    assert not re.search(r"/(home|root|tmp|usr|var|work)/", text)
    assert not re.search(r"specimen", text, re.IGNORECASE)


@pytest.mark.parametrize("text", [CONFORMANCE, AIR], ids=["conformance", "air"])
def test_nothing_is_called_normal_and_all_is_called_research(text: str) -> None:
    assert not re.search(r"\b(is normal|cleared|all clear)\b", text, re.IGNORECASE)
    assert "not for diagnosis" in text.lower()


def test_what_the_profile_asks_of_an_evidence_creator_is_told() -> None:
    for primitive in (
        "Qualitative findings",
        "Measurements",
        "Locations",
        "Regions",
        "Parametric maps",
        "Tracking identifiers",
        "Image references",
    ):
        assert f"| {primitive} |" in AIR
    for told in ("Algorithm", "Objects", "Result primitives", "Comprehensive 3D SR Storage"):
        assert told in AIR

"""Every fault of a settings file at once, with its line and what to do."""

from pathlib import Path

import pytest

from config.checking import check, line_of

FAULTY = """\
[node]
prot = 104
max_pdu_bytes = 3

[[senders]]
ae_title = "CT1"
[[senders]]
ae_title = "CT2"
[senders.query]
ae_title = "PACS"
port = 104
retreive = "GET"

[[destinations]]
name = "pacs"
ae_title = "PACS"
port = 104

[log]
level = "LOUD"
"""
EXPECTED = """\
:2: node.prot: unknown key; did you mean port?
:3: node.max_pdu_bytes: input should be greater than or equal to 4096, not 3; it takes \
whole number, at least 4096, at most 16_777_216
:9: senders.1.query.host: field required; add host = "ct1.hospital.example"
:12: senders.1.query.retreive: unknown key; did you mean retrieve?
:14: destinations.0.host: field required; add host = "pacs.hospital.example"
:20: log.level: input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', not 'LOUD'; it takes \
one of DEBUG, INFO, WARNING, ERROR
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(FAULTY, encoding="utf-8")
    return path


def test_every_fault_is_told_with_its_line_and_its_mend(site: Path) -> None:
    told = [str(each).removeprefix(str(site)) for each in check(site)]
    assert sorted(told) == sorted(EXPECTED.splitlines())


def test_a_variable_is_told_as_such(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write_text("[node]\nport = 104\n", encoding="utf-8")
    assert check(site) == ()
    monkeypatch.setenv("MIDLINE_NODE__PORT", "70000")
    (only,) = check(site)
    assert only.place == "environment MIDLINE_NODE__PORT"
    assert only.mend == "it takes whole number, at least 0, at most 65535"


@pytest.mark.parametrize(
    ("text", "told"), [("[node", "is not TOML"), (None, "cannot be read"), ("\xff", "not UTF-8")]
)
def test_a_file_that_is_none_is_one_fault(site: Path, text: str | None, told: str) -> None:
    if text is None:
        site.unlink()
    else:
        site.write_text(text, encoding="latin-1")
    (only,) = check(site)
    assert told in str(only)


def test_a_key_that_is_not_written_out_is_found_by_its_table() -> None:
    text = "[node]\nport = 1\n[storage]\n"
    assert line_of(text, ("storage", "folder")) == 3
    assert line_of(text, ("log", "level")) is None


def test_an_inner_table_belongs_to_the_last_of_a_list() -> None:
    lines = FAULTY.splitlines()
    number = line_of(FAULTY, ("senders", 1, "query", "port"))
    assert number is not None
    assert lines[number - 1] == "port = 104"
    assert line_of(FAULTY, ("senders", 0)) == 5

"""The documents hold what they say: links lead somewhere, commands and settings exist."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from config.catalogue import settings_of
from config.settings import Settings
from node.cli import app
from tests.support.documents import (
    DOCUMENTS,
    ROOT,
    CommandLine,
    anchors,
    blocks,
    command_lines,
    links,
)

COMMAND_LINES = tuple(command_lines())
FOREIGN = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="?(?:https?:)?//[^ >"]+')
"""What a browser would fetch from elsewhere."""


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def pages(nav: Any) -> set[str]:
    """Name the pages of a navigation."""
    if isinstance(nav, str):
        return {nav}
    return set().union(*map(pages, nav.values() if isinstance(nav, dict) else nav))


def test_every_document_is_in_the_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    documents = [path.relative_to(ROOT / "docs") for path in DOCUMENTS if "docs" in path.parts]
    # docs/hooks.py adds the decisions, and the documents of the root
    wanted = {path.as_posix() for path in documents if path.parts[0] != "adr"}
    assert pages(site["nav"]) == wanted | {"architecture.md", "contributing.md", "changelog.md"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target, anchor in links(document):
        assert target.exists(), target
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{target.name}#{anchor}"


def command_of(line: CommandLine) -> tuple[Any, tuple[str, ...]]:
    """Find the command that a line runs, and the words that follow its name."""
    command, rest = typer.main.get_command(app), list(line.words)
    while hasattr(command, "get_command"):
        if rest and rest[0] == "--config":
            del rest[:2]
        elif rest and (found := command.get_command(None, rest[0])) is not None:
            command = found
            del rest[0]
        else:
            break
    return command, tuple(rest)


@pytest.mark.parametrize("line", COMMAND_LINES, ids=str)
def test_every_command_exists_with_its_options(line: CommandLine) -> None:
    command, rest = command_of(line)
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in rest if word.startswith("--")} <= known
    if hasattr(command, "get_command"):
        assert all(word.startswith("--") for word in rest), "there is no such command"


def test_every_command_of_the_documents_explains_itself() -> None:
    spoken = {line.words[: len(line.words) - len(command_of(line)[1])] for line in COMMAND_LINES}
    paths = {words[2:] if words[:1] == ("--config",) else words for words in spoken}
    assert len(paths) > 20
    for words in sorted(paths):
        assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0, words


def keys_of(value: Any, prefix: str = "") -> set[str]:
    """Name the settings of a file's tables, as `config explain` takes them."""
    if isinstance(value, list):
        return set().union(*(keys_of(each, prefix) for each in value))
    if isinstance(value, dict):
        return set().union(*(keys_of(inner, f"{prefix}.{key}") for key, inner in value.items()))
    return {prefix.removeprefix(".")}


def test_examples_of_settings_name_settings_that_exist() -> None:
    examples = [text for document in DOCUMENTS for text in blocks(document, "toml")]
    known = {setting.key for setting in settings_of(Settings)}
    assert len(examples) > 5
    for example in examples:
        assert keys_of(tomllib.loads(example)) <= known


def test_each_alert_has_its_advice() -> None:
    rules = yaml.safe_load((ROOT / "deploy/monitoring/alerts.yml").read_text(encoding="utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    advice = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert alerts <= set(re.findall(r"\bMidline[A-Z]\w+", advice))


@pytest.mark.parametrize("front", ["README.md", "docs/index.md"])
def test_the_front_says_what_it_is_not_for(front: str) -> None:
    assert "not for diagnosis" in (ROOT / front).read_text(encoding="utf-8")[:1500].lower()


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="MkDocs is not installed: extra docs")
def test_the_site_is_built_without_a_fault_and_fetches_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        assert not FOREIGN.findall(page.read_text(encoding="utf-8")), page.name

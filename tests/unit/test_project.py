"""The rules of the house that no linter knows."""

import ast
import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("config", "storage", "ml", "node")
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize(
    "path", modules(*PACKAGES, "tests"), ids=lambda p: str(p.relative_to(ROOT))
)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES_OF_A_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MOST_LINES_OF_A_FUNCTION, node.name


def test_every_module_has_a_place_in_architecture_md() -> None:
    plan = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    names = [path for path in modules(*PACKAGES) if path.name != "__init__.py"]
    missing = [str(p.relative_to(ROOT)) for p in names if f"`{p.name}`" not in plan]
    assert not missing


def test_architecture_md_names_no_module_that_is_gone() -> None:
    plan = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    there = {path.name for path in modules(*PACKAGES, "tests")} | {"run_node.py"}
    named = set(re.findall(r"`([a-z0-9_]+\.py)`", plan))
    assert named <= there


def test_the_changelog_begins_with_the_current_version() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    latest = re.search(r"^## \[([0-9.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert latest is not None
    assert latest[1] == setup["metadata"]["version"]


def test_nothing_is_ever_unpickled() -> None:
    forbidden = re.compile(
        r"import pickle|pickle\.load|allow_pickle=True|(?<!safetensors\.)torch\.load\("
    )
    for path in modules(*PACKAGES):
        assert not forbidden.search(path.read_text(encoding="utf-8")), path

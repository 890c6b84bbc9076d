"""What the documents say that can be held against the repository: links, commands, settings."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = tuple(
    path
    for path in (
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    )
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
PROGRAM = "midline"


@dataclass(frozen=True)
class CommandLine:
    """A command line of the program that stands in a document.

    Attributes
    ----------
    document
        Where.
    words
        What follows the program's name.
    """

    document: Path
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document.name}: {' '.join(self.words)}"


def blocks(document: Path, *languages: str) -> Iterator[str]:
    """List the code blocks of a document that are of some language."""
    for language, text in BLOCK.findall(document.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """List where relative links lead: a path, and the name of a heading or nothing."""
    prose = BLOCK.sub("", document.read_text(encoding="utf-8"))
    for target in LINK.findall(prose):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (document.parent / path).resolve() if path else document, anchor


def anchors(document: Path) -> set[str]:
    """Name the headings of a document as links do."""
    prose = BLOCK.sub("", document.read_text(encoding="utf-8"))
    texts = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in HEADING.findall(prose))
    return {re.sub(r"[-\s]+", "-", text) for text in texts}


def command_lines() -> Iterator[CommandLine]:
    """List every command line of the program in a code block."""
    for document in DOCUMENTS:
        for text in blocks(document, "sh", ""):
            for line in text.replace("\\\n", " ").splitlines():
                yield from (CommandLine(document, words) for words in _commands(line))


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # prose, or a table that a command wrote
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set(";&|()<>"):
            yield from _of_the_program(command)
            command = []
        else:
            command.append(word)


def _of_the_program(command: list[str]) -> Iterator[tuple[str, ...]]:
    """Give the words after the program's name, if this runs it: also by sudo or with its path."""
    while command and ("=" in command[0] or command[0] == "sudo"):
        command = command[3:] if command[:2] == ["sudo", "-u"] else command[1:]
    if command and Path(command[0]).name == PROGRAM:
        yield tuple(command[1:])

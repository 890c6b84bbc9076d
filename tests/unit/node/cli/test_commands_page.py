"""docs/commands.md is what this version writes."""

from pathlib import Path

from tests.support import commands_page

DOCS = Path(__file__).parents[4] / "docs"


def test_the_page_of_the_commands_is_up_to_date() -> None:
    written = commands_page.page()
    assert written == (DOCS / "commands.md").read_text(encoding="utf-8"), "make docs writes it anew"


def test_no_example_is_of_a_command_that_is_not_there() -> None:
    known = {" ".join(command.words) for command in commands_page.commands()}
    for example in (*commands_page.RUN, *commands_page.SHOWN):
        words = example.split()
        assert words[0] in known or " ".join(words[:2]) in known, example

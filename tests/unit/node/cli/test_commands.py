"""Commands are loaded one at a time, and each of them can be."""

import subprocess
import sys

import pytest

from node.cli.commands import APP, COMMANDS, load
from tests.unit.node.cli.conftest import Run

HEAVY = ("dbos", "fastapi", "highdicom", "pynetdicom", "scipy", "torch")
"""What takes long to load, and is not needed to look at the index."""
LOOKING = """
import sys
from node.cli.commands import load
load("status")
print([name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_it_is_said_to_be(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert command.rich_help_panel == COMMANDS[name].panel
    assert hasattr(command, "commands") == (COMMANDS[name].function == APP)


def test_the_help_lists_every_command(run: Run) -> None:
    said = run("--help").stdout
    assert [name for name in COMMANDS if f"│ {name} " not in said] == []


def test_an_unknown_command_is_a_mistake(run: Run) -> None:
    result = run("stauts")
    assert result.exit_code == 2
    assert "No such command 'stauts'" in result.stderr


def test_whoever_looks_at_the_index_does_not_wait_for_other_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOKING.format(heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"

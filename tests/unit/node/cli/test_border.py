"""Every end of a command is one line and an exit code."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from config.errors import PeerUnavailableError, SettingsError, UsageError
from node.cli import app
from node.cli.border import CommandGroup


def ended_by(error: BaseException | None) -> Result:
    """Run a command that ends so."""
    failing = typer.Typer(cls=CommandGroup)

    @failing.callback()
    def root() -> None: ...

    @failing.command()
    def work() -> None:
        if error is not None:
            raise error

    return CliRunner().invoke(failing, ["work"])


def midline(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="midline")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (None, 0, ""),
        (UsageError("there is no job 7"), 2, "midline: there is no job 7\n"),
        (SettingsError("node.port: no"), 2, "midline: node.port: no\n"),
        (PeerUnavailableError("no association"), 1, "midline: no association\n"),
        (KeyboardInterrupt(), 130, "midline: interrupted\n"),
        (typer.Exit(3), 3, ""),
    ],
)
def test_an_end_has_its_exit_code_and_one_line(
    error: BaseException | None, code: int, line: str
) -> None:
    result = ended_by(error)
    assert result.exit_code == code
    assert result.stderr == line
    assert result.stdout == ""


def test_an_unforeseen_fault_is_named_without_its_text() -> None:
    result = ended_by(ValueError("Invalid value for VR PN: 'SECRET^NAME'"))
    assert result.exit_code == 1
    assert result.stderr.startswith("midline: a fault of the program: ValueError at ")
    assert result.stderr.count("\n") == 1
    assert "SECRET" not in result.stderr


def test_a_complaint_cannot_steer_the_terminal() -> None:
    result = ended_by(UsageError("a peer says \x1b[2J\nand more"))
    assert result.stderr == "midline: a peer says ?[2J and more\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["echo"], "Missing argument 'AET@HOST:PORT'"),
        (["echo", "PACS"], "'PACS' is no peer: AET@host:port is needed"),
        (["segment", "--out", "x"], "Missing argument"),
        (["queue", "list", "--state", "ASLEEP"], "'ASLEEP' is not one of"),
        (["queue", "list", "--outcome", "FINE"], "'FINE' is not one of"),
        (["queue", "list", "--limit", "0"], "Invalid value for '--limit'"),
        (["queue"], "Missing command"),
        (["--config", "no-such-file.toml", "status"], "does not exist"),
        (["serve", "--frobnicate"], "No such option"),
    ],
)
def test_what_is_not_understood_is_named_in_one_line(arguments: list[str], words: str) -> None:
    result = midline(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.startswith("midline: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_without_a_command_the_commands_are_listed() -> None:
    result = midline()
    assert result.exit_code == 0
    for command in ("serve", "listen", "analyse", "deliver", "status", "queue", "segment", "demo"):
        assert command in result.stdout
    assert "--supervised" not in midline("listen", "--help").stdout


def test_the_version_is_that_of_the_package() -> None:
    setup = (Path(__file__).parents[4] / "setup.cfg").read_text()
    version = midline("--version").stdout.split()[-1]
    assert f"\nversion = {version}\n" in setup


def test_a_setting_that_is_wrong_is_named(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text("[node]\nprot = 1\n")
    result = midline("--config", str(config), "status")
    assert result.exit_code == 2
    assert "node.prot: unknown key; known are ae_title" in result.stderr
    assert result.stderr.count("\n") == 1

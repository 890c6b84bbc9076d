"""Where every command ends: what went wrong becomes one line and an exit code.

=========  ==============================================================
0          done; a node that was asked to end (SIGTERM) ended in good order
1          it could not be done
2          the person asked for something that cannot be
130        interrupted at the terminal
=========  ==============================================================
"""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from config.errors import MidlineError, UsageError
from config.log import describe
from node.cli.commands import COMMANDS, load
from node.cli.output import printable

PROGRAM = "midline"
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class CommandGroup(TyperGroup):
    """The root of all commands; its border is the same for the shell and for tests."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name all commands, without loading one."""
        return [*super().list_commands(ctx), *COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load the command of a name; None if there is none."""
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            self.add_command(load(cmd_name))
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run a command line, and end with its exit code."""
        kwargs["standalone_mode"] = False
        sys.exit(exit_code(lambda: super(CommandGroup, self).main(*args, **kwargs)))


def exit_code(command: Callable[[], object]) -> int:
    """Run a command; complain in one line if it fails."""
    try:
        code = command()
    except typer.TyperException as error:
        # the argument parser's own: an unknown option, a missing argument
        complain(f"{error.format_message()}{_hint(error)}")
        return USAGE
    except UsageError as error:
        complain(str(error))
        return USAGE
    except MidlineError as error:
        complain(str(error))
        return FAILED
    except typer.Abort:
        complain("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a traceback could quote a patient's data
        complain(f"a fault of the program: {describe(error)}")
        return FAILED
    if code == INTERRUPTED:
        complain("interrupted")
    return code if isinstance(code, int) else DONE


def complain(text: str) -> None:
    """Write one line to standard error, whatever the text holds."""
    text = text.replace("Value error, ", "")  # a prefix of the argument parser
    typer.echo(f"{PROGRAM}: {printable(' '.join(text.split()))}", err=True)


def _hint(error: typer.TyperException) -> str:
    """Name the help of the command that was not understood."""
    context = getattr(error, "ctx", None)
    return "" if context is None else f" (see {context.command_path} --help)"

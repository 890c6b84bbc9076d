"""Commands that do one of `node.operating.actions`, in the name of whoever gives them."""

from collections.abc import Callable
from typing import Annotated

import typer

from node.audit.trail import person
from node.cli.site import open_index, settings_for_person
from node.operating import actions
from node.operating.actions import Done, WorkRole
from node.operating.desk import Desk, open_desk

Roles = Annotated[
    WorkRole | None, typer.Option("--role", help="Only the workers of this role; else all.")
]


def act(context: typer.Context, action: Callable[[Desk], Done]) -> None:
    """Do something in the name of the person at the terminal, and say what came of it."""
    settings = settings_for_person(context)
    with open_index(settings) as database, open_desk(database, settings, person()) as desk:
        done = action(desk)
    typer.echo(done.said)


def drain(context: typer.Context, *, role: Roles = None) -> None:
    """Let workers end what they hold and take nothing new; images are received as before.

    It lasts until midline resume, over restarts too: for an upgrade, or a GPU that is to be free.
    """
    act(context, lambda desk: actions.drain(desk, _roles(role)))


def resume(context: typer.Context, *, role: Roles = None) -> None:
    """Let workers take new work again, after midline drain."""
    act(context, lambda desk: actions.resume(desk, _roles(role)))


def reprocess(
    context: typer.Context,
    study_id: Annotated[int, typer.Argument(metavar="STUDY", help="Number of the study.", min=1)],
) -> None:
    """Analyse a study anew with the present model and settings; its report supersedes the former.

    Its images must still be in the file store, so this looks into storage.folder.
    """
    act(context, lambda desk: actions.reprocess(desk, study_id))


def _roles(role: WorkRole | None) -> tuple[WorkRole, ...]:
    return actions.ROLES if role is None else (role,)

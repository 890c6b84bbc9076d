"""``midline accounts``: who may use the web page, and who may change something there."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from config.errors import UsageError
from node.audit import events
from node.audit.trail import person, trail_of
from node.cli.output import AsJson, age, as_dict, write_json, write_table
from node.cli.site import open_index, settings_for_person
from storage.records import AccountRole

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]

app = typer.Typer(help="Say who may use the web page, and as what.")


@app.command()
def add(
    context: typer.Context,
    name: Name,
    *,
    role: Annotated[
        AccountRole,
        typer.Option(case_sensitive=False, help="viewer sees everything, operator also acts."),
    ] = AccountRole.VIEWER,
) -> None:
    """Make an account; the password is asked for, or the first line of standard input."""
    from node.page import passwords  # noqa: PLC0415 - the others do without

    settings = settings_for_person(context)
    passwords.check_name(name)
    with open_index(settings) as database:
        with database.read() as transaction:
            if transaction.accounts.get(name) is not None:
                raise UsageError(_taken(name))
        password_hash = _asked_for(name)
        with database.begin() as transaction:
            account = transaction.accounts.add(
                name, role, password_hash=password_hash, now=datetime.now(UTC)
            )
            is_first = len(transaction.accounts.list()) == 1
        if account is None:
            raise UsageError(_taken(name))
        said = f"accounts add --role {role.lower()}"
        trail_of(database, settings).write(events.account_changed(person(), said, name))
    typer.echo(f"{name} may sign in as {role.lower()}")
    if is_first and settings.page.enabled:
        typer.echo("midline serve starts the page with its next start; midline page runs it alone")


@app.command("list")
def list_accounts(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the accounts."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        accounts, now = transaction.accounts.list(), transaction.now()
    if as_json:
        write_json([as_dict(account) for account in accounts])
        return
    write_table(
        "Accounts",
        ("Name", "Role", ">Made", ">Password set", ">Last signed in"),
        [
            (
                account.name,
                account.role.lower(),
                f"{age(account.created_at, now=now)} ago",
                f"{age(account.password_set_at, now=now)} ago",
                "never"
                if account.signed_in_at is None
                else f"{age(account.signed_in_at, now=now)} ago",
            )
            for account in accounts
        ],
    )


@app.command()
def password(context: typer.Context, name: Name) -> None:
    """Set a new password; whoever is signed in with the old one is signed out."""
    settings = settings_for_person(context)
    with open_index(settings) as database:
        with database.read() as transaction:
            if transaction.accounts.get(name) is None:
                raise UsageError(_unknown(name))
        password_hash = _asked_for(name)
        with database.begin() as transaction:
            if not transaction.accounts.set_password(name, password_hash, now=datetime.now(UTC)):
                raise UsageError(_unknown(name))
        trail_of(database, settings).write(
            events.account_changed(person(), "accounts password", name)
        )
    typer.echo(f"{name} has a new password")


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Remove an account; whoever is signed in with it is signed out."""
    settings = settings_for_person(context)
    with open_index(settings) as database:
        with database.begin() as transaction:
            if not transaction.accounts.remove(name):
                raise UsageError(_unknown(name))
        trail_of(database, settings).write(
            events.account_changed(person(), "accounts remove", name)
        )
    typer.echo(f"{name} is removed")


def _asked_for(name: str) -> str:
    """Ask for a password, twice at a terminal; give its digest."""
    from node.page import passwords  # noqa: PLC0415 - the others do without

    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    passwords.check_password(typed, name=name)
    return passwords.digest(typed)


def _taken(name: str) -> str:
    return f"there is an account {name} already; midline accounts password {name} changes it"


def _unknown(name: str) -> str:
    return f"there is no account {name}; midline accounts list shows them"

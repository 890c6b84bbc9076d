"""``midline destinations``: who gets the results, in which forms, and what is not taken."""

from typing import Annotated

import typer

from config.errors import UsageError
from node.cli.output import AsJson, as_dict, write_json, write_table
from node.cli.overview import write_refusals
from node.cli.site import open_index, settings_for_person
from node.results.forms import forms_of

app = typer.Typer(help="Show who gets the results in which forms; forget what was refused.")


@app.command("list")
def list_destinations(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the destinations of the settings with the forms that they get now."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        now, refusals = transaction.now(), transaction.refusals.list()
        refused = {d.name: transaction.refusals.of(d.name) for d in settings.receivers}
    rows = [
        (
            each.name,
            each.address,
            str(forms_of(each)),
            str(forms_of(each, refused[each.name])),
        )
        for each in settings.receivers
    ]
    if as_json:
        names = ("name", "address", "wanted", "gets")
        write_json(
            {
                "destinations": [dict(zip(names, row, strict=True)) for row in rows],
                "refusals": [as_dict(refusal) for refusal in refusals],
            }
        )
        return
    write_table("Destinations", ("Name", "Address", "Wanted", "Gets"), rows)
    if refusals:
        write_refusals(refusals, now=now)


@app.command()
def forget(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the destination.")],
) -> None:
    """Offer a destination again what it refused, after it was upgraded or set up anew.

    Results that were sent in other forms stay as they are; midline queue retry makes them anew.
    """
    with open_index(settings_for_person(context)) as database, database.begin() as transaction:
        count = transaction.refusals.forget(name)
    if not count:
        raise UsageError(f"{name} has refused nothing; midline destinations list shows all")
    typer.echo(f"{count} refusals of {name} are forgotten: it is offered everything again")

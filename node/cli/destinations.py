"""``midline destinations``: who gets the results, in which forms, what is refused, who is there."""

from typing import Annotated

import typer

from config.errors import UsageError
from config.settings import DestinationSettings, WebDestinationSettings
from node.caller import caller_of
from node.cli.output import AsJson, as_dict, write_json, write_table
from node.cli.overview import write_refusals
from node.cli.probing import probe_peer, probe_service
from node.cli.site import open_index, settings_for_person
from node.cli.telling import tell_configured
from node.results.forms import forms_of

app = typer.Typer(
    help="Show who gets the results in which forms; test one, forget what was refused."
)

DestinationName = Annotated[str, typer.Argument(metavar="NAME", help="Of the destination.")]


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


@app.command("test")
def probe(context: typer.Context, name: DestinationName, *, as_json: AsJson = False) -> None:
    """Ask a destination whether it is there and what it would take; nothing is stored."""
    settings = settings_for_person(context)
    destination = next((each for each in settings.receivers if each.name == name), None)
    match destination:
        case DestinationSettings():
            found = probe_peer(destination, caller=caller_of(settings))
        case WebDestinationSettings():
            found = probe_service(destination)
        case _:
            raise UsageError(f"{name} is no destination; midline destinations list shows all")
    if as_json:
        write_json({"name": name, "address": destination.address, **as_dict(found)})
        return
    typer.echo(f"{destination.address} answered in {1000 * found.seconds:.1f} ms")
    if found.remark:
        typer.echo(found.remark)
    if found.offers:
        write_table(
            "What it takes",
            ("SOP class", "Transfer syntax", "Taken"),
            [
                (each.sop_class, each.transfer_syntax, "yes" if each.is_taken else "no")
                for each in found.offers
            ],
        )


@app.command()
def forget(
    context: typer.Context,
    name: DestinationName,
) -> None:
    """Offer a destination again what it refused, after it was upgraded or set up anew.

    Results that were sent in other forms stay as they are; midline queue retry makes them anew.
    """
    settings = settings_for_person(context)
    with open_index(settings) as database:
        with database.begin() as transaction:
            count = transaction.refusals.forget(name)
        if not count:
            raise UsageError(f"{name} has refused nothing; midline destinations list shows all")
        tell_configured(database, settings, name, "destinations forget")
    typer.echo(f"{count} refusals of {name} are forgotten: it is offered everything again")

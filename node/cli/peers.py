"""``midline peers``: whom the node calls, who is there, what they take, what they refused."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from config.errors import UsageError
from node.cli.output import AsJson, write_facts, write_json, write_table
from node.cli.overview import write_refusals
from node.cli.site import open_index, settings_for_person
from node.cli.telling import tell_configured
from node.operating import peers

if TYPE_CHECKING:
    from node.operating.probing import ProbedPeer

app = typer.Typer(help="Show whom the node calls; test whether they are there and what they take.")

PeerName = Annotated[str, typer.Argument(metavar="NAME", help="As midline peers list shows it.")]


@app.command("list")
def list_peers(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List whom the settings have the node call, with the forms that destinations get now."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        now, found = transaction.now(), peers.list_peers(transaction, settings)
    if as_json:
        write_json(found)
        return
    write_table(
        "Peers",
        ("Name", "What", "Address", "Wanted", "Gets"),
        [(p.name, p.kind, p.address, p.wanted, p.gets) for p in found.peers],
    )
    if found.refusals:
        write_refusals(found.refusals, now=now)


@app.command("test")
def probe(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only this one; else all.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask peers whether they are there and what they would take; nothing is stored.

    Round trip, what of ours is taken, TLS, and how far their clocks are off; exit code 1 if one
    cannot be used. Needs neither index nor store.
    """
    from node.operating.probing import probe_peers  # noqa: PLC0415 - the network takes a second

    probed = probe_peers(settings_for_person(context), name)
    if as_json:
        write_json(probed)
    else:
        _write_answers(probed)
    if any(peer.fault for peer in probed):
        raise typer.Exit(1)


@app.command()
def forget(context: typer.Context, name: PeerName) -> None:
    """Offer a destination again what it refused, after it was upgraded or set up anew.

    Results that were sent in other forms stay as they are; midline queue retry makes them anew.
    """
    settings = settings_for_person(context)
    with open_index(settings) as database:
        with database.begin() as transaction:
            count = transaction.refusals.forget(name)
        if not count:
            raise UsageError(f"{name} has refused nothing; midline peers list shows all")
        tell_configured(database, settings, name, "peers forget")
    typer.echo(f"{count} refusals of {name} are forgotten: it is offered everything again")


def _write_answers(probed: "Sequence[ProbedPeer]") -> None:
    """Write one row for each peer, then what each of those that answered says."""
    write_table(
        "Peers",
        ("Name", "What", "Address", "There", ">Round trip", ">Clock ahead by", "Remark"),
        [_row(peer) for peer in probed],
    )
    for peer in probed:
        answered = peer.answered
        if answered is None:
            continue
        tls = answered.tls
        if tls is not None:
            ends = "" if tls.not_after is None else f", until {tls.not_after:%Y-%m-%d}"
            write_facts(
                [
                    ("TLS", f"{tls.version}, {tls.cipher}"),
                    ("Certificate", f"{tls.subject}, by {tls.issuer}{ends}"),
                ]
            )
        if answered.offers:
            write_table(
                f"What {peer.name} ({peer.kind}) takes",
                ("SOP class", "Transfer syntax", "Taken"),
                [
                    (offer.sop_class, offer.transfer_syntax, "yes" if offer.is_taken else "no")
                    for offer in answered.offers
                ],
            )


def _row(peer: "ProbedPeer") -> tuple[object, ...]:
    answered = peer.answered
    who = (peer.name, peer.kind, peer.address)
    if answered is None:
        return (*who, "NO", "", "", peer.fault)
    trip = "" if answered.seconds is None else f"{1000 * answered.seconds:.1f} ms"
    ahead = answered.clock_ahead_seconds
    clock = "unknown" if ahead is None else f"{ahead:+.1f} s"
    return (*who, "yes", trip, clock, answered.remark or answered.implementation)

"""The commands that run for as long as the node does: all roles together, or one alone."""

import os
import signal
import threading
from typing import Annotated

import typer

from config.settings import Settings
from node import supervisor
from node.cli.site import config_of, open_index, settings_for_service, with_analysis
from node.reloading import Source

Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]


def serve(context: typer.Context) -> None:
    """Run the whole node on this machine: receive, analyse, deliver."""
    keep_private()
    settings = settings_for_service(context)
    source = Source(config_of(context))
    stop = stop_at_signals(source.asked)
    _prepare(settings)
    _check_weights(settings)
    typer.echo(describe(settings))
    supervisor.supervise(settings, source, stop)


def listen(context: typer.Context, *, supervised: Supervised = False) -> None:
    """Receive studies only, and have them analysed."""
    settings, source = settings_for_service(context), Source(config_of(context))
    stop = _start(settings, supervised=supervised, hang_up=source.asked)
    from node import roles  # noqa: PLC0415 - torch takes seconds to load

    roles.run_listener(settings, stop, source)


def analyse(
    context: typer.Context,
    *,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N, in place of analysis.device.")
    ] = None,
    supervised: Supervised = False,
) -> None:
    """Analyse received studies only; as many of these as there are GPUs."""
    settings = with_analysis(settings_for_service(context), device=device)
    overridden = frozenset(() if device is None else ("analysis.device",))
    source = Source(config_of(context), overridden=overridden)
    stop = _start(settings, supervised=supervised, hang_up=source.asked)
    from node import roles  # noqa: PLC0415 - torch takes seconds to load

    roles.run_analysis(settings, stop, source)


def deliver(context: typer.Context, *, supervised: Supervised = False) -> None:
    """Deliver results only."""
    settings, source = settings_for_service(context), Source(config_of(context))
    stop = _start(settings, supervised=supervised, hang_up=source.asked)
    from node import roles  # noqa: PLC0415 - torch takes seconds to load

    roles.run_delivery(settings, stop, source)


def page(context: typer.Context, *, supervised: Supervised = False) -> None:
    """Serve the web page for those who run the node only."""
    settings = settings_for_service(context)
    stop = _start(settings, supervised=supervised)
    from node.page.server import run_page  # noqa: PLC0415 - most commands do without

    run_page(settings, stop)


def page_of(settings: Settings) -> tuple[bool, str]:
    """Decide whether serve starts the web page, and say so in one line."""
    where = settings.page
    at = f"{'https' if where.tls else 'http'}://{where.host}:{where.port}"
    if not where.enabled:
        return False, "no web page: page.enabled is false"
    with open_index(settings) as database, database.read() as transaction:
        has_accounts = transaction.accounts.any()
    if has_accounts:
        return True, f"web page at {at}"
    make_one = "midline accounts add NAME --role operator makes an account"
    if settings.metrics.enabled:
        return True, f"metrics at {at}/metrics; nobody can sign in on the web page: {make_one}"
    return False, f"no web page: nobody could sign in; {make_one}, then start again"


def describe(settings: Settings) -> str:
    """Say in one line who the node is, where it keeps its data, and who gets the results."""
    node = settings.node
    port = f"port {node.port}" if node.port else "a free port"
    peers = [f"{each.name} ({each.address})" for each in settings.receivers]
    return (
        f"{node.ae_title} on {node.host}, {port}; data in {settings.storage.folder}; "
        f"results to {', '.join(peers) or 'nobody: no destination is set'}"
    )


def keep_private() -> None:
    """Let no file that this process makes be read by other users, its index included."""
    os.umask(0o077)


def stop_at_signals(hang_up: threading.Event | None = None) -> threading.Event:
    """Make an event that SIGTERM and SIGINT set; SIGHUP sets the one that is given.

    An event's lock must not be taken in a signal handler, which may interrupt its owner; the
    handler therefore only writes to a pipe, and a thread sets the event.
    """
    stop = threading.Event()
    events = {signal.SIGTERM: stop, signal.SIGINT: stop}
    if hang_up is not None:
        events[signal.SIGHUP] = hang_up
    reading, writing = os.pipe()

    def wait() -> None:
        while number := os.read(reading, 1):
            events[signal.Signals(number[0])].set()

    def note(number: int, _: object) -> None:
        os.write(writing, bytes([number]))

    threading.Thread(target=wait, name="signals", daemon=True).start()
    for number in events:
        signal.signal(number, note)
    return stop


def _start(
    settings: Settings, *, supervised: bool, hang_up: threading.Event | None = None
) -> threading.Event:
    """Listen to signals; a role without a supervisor also upgrades the index."""
    keep_private()
    stop = stop_at_signals(hang_up)
    if supervised:
        supervisor.end_with_parent(stop)
    else:
        _prepare(settings)
    return stop


def _prepare(settings: Settings) -> None:
    from node import roles  # noqa: PLC0415 - torch takes seconds to load

    roles.prepare(settings)


def _check_weights(settings: Settings) -> None:
    """Miss the weights once and now, not in each worker again and again."""
    from ml.checkpoint import card_path, read_card  # noqa: PLC0415 - torch takes seconds to load
    from node import roles  # noqa: PLC0415

    read_card(card_path(roles.weights_path(settings)))

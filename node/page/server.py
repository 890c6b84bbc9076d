"""The page's process: everything it needs put together, and a server that ends when it is told."""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import uvicorn
from starlette.types import ASGIApp

from config.errors import SettingsError
from config.settings import Settings
from node import tls
from node.audit.trail import person, running, trail_of
from node.operating.desk import open_desk
from node.operating.overview import Overview, look
from node.page.application import application
from node.page.door import Door
from node.page.metrics import Figures
from node.page.slices import Slices
from node.page.visits import (
    OVERVIEW_SECONDS,
    PLOTS_SECONDS,
    QUEUE_SECONDS,
    Fragment,
    Notes,
    Remembered,
    Site,
)
from node.results.outcomes import APPROVED_DISCLAIMER, DISCLAIMER
from storage.database import Database

logger = logging.getLogger(__name__)

BACKLOG = 128
MOST_AT_ONCE = 200
"""Requests that are answered at the same time; more are told to come back."""
TURNS, SLOW_TURNS = 4, 2
"""Requests that are worked on at the same time: quick ones, and signing in and drawing."""
SECONDS_TO_END = 5
KEEP_ALIVE_SECONDS = 30
LOOK_SECONDS = 0.1


def run_page(settings: Settings, stop: threading.Event) -> None:
    """Serve the page until stopped.

    Raises
    ------
    SettingsError
        If its port is taken, or it is to speak TLS without good certificates.
    """
    database = Database(settings.storage.url)
    try:
        with running(trail_of(database, settings)), assembled(database, settings) as app:
            with database.read() as transaction:
                has_accounts = transaction.accounts.any()
            if not has_accounts:
                logger.warning("nobody can sign in on the page yet: midline accounts add NAME")
            with serving(app, settings, bound(settings)) as server:
                while not stop.wait(LOOK_SECONDS) and not server.should_exit:
                    pass
    finally:
        database.close()


@contextmanager
def assembled(database: Database, settings: Settings) -> Iterator[ASGIApp]:
    """Put the page together on an index that is open."""
    approved = settings.identity.approved_for_diagnosis
    overview = Remembered[Overview](OVERVIEW_SECONDS)
    fragments = Remembered[Fragment](QUEUE_SECONDS)

    def look_again() -> None:
        overview.forget()
        fragments.forget()

    def look_at_node() -> Overview:
        with database.read() as transaction:
            return look(transaction, settings)

    figures = Figures(database, lambda: overview.get(look_at_node))
    with open_desk(database, settings, person()) as desk:
        site = Site(
            settings=settings,
            database=database,
            desk=desk,
            door=Door(database, settings.page, desk.audit),
            slices=Slices(
                database,
                desk.files,
                disclaimer=APPROVED_DISCLAIMER if approved else DISCLAIMER,
            ),
            overview=lambda: overview.get(look_at_node),
            look_again=look_again,
            plots=Remembered(PLOTS_SECONDS),
            fragments=fragments,
            notes=Notes(),
            turns=asyncio.Semaphore(TURNS),
            slow_turns=asyncio.Semaphore(SLOW_TURNS),
        )
        yield application(site, figures)


def bound(settings: Settings) -> socket.socket:
    """Take the port of the page.

    Raises
    ------
    SettingsError
        If it cannot be had.
    """
    host, port = settings.page.host, settings.page.port
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"page.host, page.port: {host} port {port} cannot be listened on ({error.strerror})"
        ) from error
    # connections inherit it: else each answer waits 40 ms for an acknowledgement
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


@contextmanager
def serving(app: ASGIApp, settings: Settings, listening: socket.socket) -> Iterator[uvicorn.Server]:
    """Serve a page on a socket for a while, in a thread of its own."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SECONDS_TO_END,
            ssl_context_factory=_tls_of(settings),
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],), name="page", daemon=True)
    thread.start()
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.page.tls else "http"
    logger.info("the page is at %s://%s:%d", scheme, f"[{host}]" if ":" in host else host, port)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(2 * SECONDS_TO_END)
        listening.close()


def _tls_of(
    settings: Settings,
) -> Callable[[uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext] | None:
    """Make what gives the server its certificates; None if it speaks no TLS."""
    if not settings.page.tls:
        return None
    context = tls.page_context(settings.tls, now=datetime.now(UTC))
    return lambda _config, _default: context

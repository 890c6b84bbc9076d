"""A visit: somebody who is signed in asks for something, and it is rendered for them.

What answers a visit is a plain function from a `Visit` to a response; it runs in a thread of its
own since it waits for the database. Who may ask, and whether a form is genuine, is decided before.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import Any, Generic, ParamSpec, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from config.errors import DatabaseBusyError, UsageError
from config.settings import Settings
from node.operating.desk import Desk
from node.operating.overview import Overview
from node.page import answers, words
from node.page.door import Door, Visitor, is_form_token
from node.page.plots import Plots
from node.page.slices import Slices
from node.results.outcomes import APPROVED_DISCLAIMER, DISCLAIMER
from storage.database import Database
from storage.records import AccountRole

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

PRODUCT_VERSION = version("midline")
OVERVIEW_SECONDS, QUEUE_SECONDS, PLOTS_SECONDS = 2.0, 1.0, 30.0
"""So long what was read serves all who ask for it."""
MOST_NOTES = 1000


class Remembered(Generic[T]):
    """What is read anew after a while, by one of those who ask for the same at a time."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock, self._lock = seconds, clock, threading.Lock()
        self._held: dict[Hashable, _Held[T]] = {}

    def get(self, make: Callable[[], T], key: Hashable = None) -> T:
        """Give what is held, or read it; those who ask for something else do not wait."""
        with self._lock:
            now = self._clock()
            held = self._held.get(key)
            if held is None or now >= held.until:
                self._held = {k: each for k, each in self._held.items() if now < each.until}
                held = self._held[key] = _Held(now + self._seconds)
        with held.lock:
            if not held.values:
                held.values.append(make())
            return held.values[0]

    def forget(self) -> None:
        """Read it anew for whoever asks next: something has changed it."""
        with self._lock:
            self._held = {}


@dataclass(frozen=True, eq=False)
class _Held(Generic[T]):
    """A value, or a place for it that one of those who ask fills."""

    until: float
    values: list[T] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Notes:
    """One line for each visitor: what came of what they did, shown once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[str, tuple[str, bool]] = {}

    def leave(self, token: str, text: str, *, is_error: bool = False) -> None:
        """Leave a line for the holder of a token."""
        with self._lock:
            if len(self._notes) >= MOST_NOTES:
                self._notes.clear()
            self._notes[token] = (text, is_error)

    def take(self, token: str) -> tuple[str, bool] | None:
        """Take the line away."""
        with self._lock:
            return self._notes.pop(token, None)


class Fragment:
    """A part of a page, the same for all who look: its tag, and its text if somebody needs it."""

    def __init__(self, tag: str, render_it: Callable[[], str]) -> None:
        self.tag, self._render = tag, render_it

    @cached_property
    def text(self) -> str:
        """The part, rendered once."""
        return self._render()


@dataclass(frozen=True, eq=False)
class Site:
    """What all visits share.

    Attributes
    ----------
    settings, database
        Of the node.
    desk
        Where operators act; each visit puts its own person there.
    door
        Who may come in.
    slices
        Draws what was outlined.
    overview
        How the node stands, read once for all who look.
    look_again
        Has it read anew for the next who looks.
    plots
        Of the last days, likewise.
    fragments
        Of the queue, likewise.
    notes
        Lines for visitors.
    turns, slow_turns
        How many requests are worked on at the same time: threads that compute only wait for each
        other, and those that take seconds must not keep the others waiting.
    """

    settings: Settings
    database: Database
    desk: Desk
    door: Door
    slices: Slices
    overview: Callable[[], Overview]
    look_again: Callable[[], None]
    plots: Remembered[Plots]
    fragments: Remembered[Fragment]
    notes: Notes
    turns: asyncio.Semaphore
    slow_turns: asyncio.Semaphore

    @property
    def disclaimer(self) -> str:
        """The sentence that stands on every page."""
        approved = self.settings.identity.approved_for_diagnosis
        return APPROVED_DISCLAIMER if approved else DISCLAIMER

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; browsers take a ``__Host-`` one only over TLS."""
        return "__Host-midline" if self.settings.page.tls else "midline"


@dataclass(frozen=True, eq=False)
class Visit:
    """Somebody who is signed in, and what they ask.

    Attributes
    ----------
    form
        Fields that they sent; none of a GET.
    """

    site: Site
    request: Request
    visitor: Visitor
    form: Mapping[str, str]

    @property
    def may_operate(self) -> bool:
        """Whether they may change anything."""
        return self.visitor.account.role is AccountRole.OPERATOR

    def number(self, name: str) -> int:
        """Read a number out of the path."""
        return int(self.request.path_params[name])

    def render(self, template: str, **values: Any) -> HTMLResponse:
        """Render a page, with the line that waits for the visitor."""
        note = self.site.notes.take(self.visitor.token)
        return HTMLResponse(self.fragment(template, note=note, **values))

    def fragment(self, template: str, **values: Any) -> str:
        """Render a part of a page."""
        return render(
            template,
            site=self.site,
            account=self.visitor.account,
            may_operate=self.may_operate,
            form_token=self.visitor.form_token,
            path=self.request.url.path,
            refresh_ms=round(1000 * self.site.settings.page.refresh_seconds),
            **values,
        )

    def live(self, template: str, *parts: object, **values: Any) -> Response:
        """Render a part of a page anew, unless it is as the browser has it.

        Parameters
        ----------
        *parts
            What the part is made of, without the time.
        """
        tag = answers.tag_of(PRODUCT_VERSION, self.may_operate, *parts)
        return self.answer(Fragment(tag, lambda: self.fragment(template, **values)))

    def answer(self, fragment: Fragment) -> Response:
        """Give a part of a page, unless the browser has it."""
        known = answers.unchanged(self.request, fragment.tag)
        if known is not None:
            return known
        return HTMLResponse(fragment.text, headers={"ETag": fragment.tag})


Act = Callable[[Visit], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def visited(
    pattern: str,
    act: Act,
    *,
    role: AccountRole = AccountRole.VIEWER,
    by_hand: bool = True,
    is_slow: bool = False,
) -> Endpoint:
    """Make an endpoint of what answers a visit.

    Parameters
    ----------
    pattern
        Of its path, for log and figures.
    act
        Answers.
    role
        Who may ask.
    by_hand
        Whether a person asks, and not the page by itself.
    is_slow
        Whether it may take seconds; nobody else waits for it then.
    """

    async def endpoint(request: Request) -> Response:
        request.scope["midline.pattern"] = pattern
        form = await answers.read_form(request) if request.method == "POST" else {}
        turns = turns_of(request, is_slow=is_slow)
        return await in_turn(turns, _enter, request, form, act, role, by_hand)

    return endpoint


def opened(pattern: str, act: Callable[[Request], Response]) -> Endpoint:
    """Make an endpoint of what answers anybody."""

    async def endpoint(request: Request) -> Response:
        request.scope["midline.pattern"] = pattern
        return await in_turn(turns_of(request), act, request)

    return endpoint


def turns_of(request: Request, *, is_slow: bool = False) -> asyncio.Semaphore:
    """Choose whom a request waits for."""
    site: Site = request.app.state.site
    return site.slow_turns if is_slow else site.turns


async def in_turn(
    turns: asyncio.Semaphore, answer: Callable[P, Response], *args: P.args, **named: P.kwargs
) -> Response:
    """Answer in a thread, when it is this request's turn."""
    async with turns:
        return await run_in_threadpool(answer, *args, **named)


def _enter(
    request: Request, form: Mapping[str, str], act: Act, role: AccountRole, by_hand: bool
) -> Response:
    """Let a visit in, or send it to the door."""
    site: Site = request.app.state.site
    token = request.cookies.get(site.cookie, "")
    address = answers.address_of(request)
    visitor = site.door.visitor(token, address=address, by_hand=by_hand) if token else None
    if visitor is None:
        if not by_hand:
            return PlainTextResponse("signed out", 401)
        return RedirectResponse("/sign-in", 303)
    if request.method == "POST" and not (
        answers.is_of_our_page(request) and is_form_token(form.get("token", ""), token)
    ):
        return trouble(site, 403, "This form is out of date, or not of this page. Load it again.")
    visit = Visit(site, request, visitor, form)
    if role is AccountRole.OPERATOR and not visit.may_operate:
        return trouble(site, 403, "Only operators may do this.")
    return act(visit)


def trouble(site: Site, status: int, text: str) -> HTMLResponse:
    """Say that something cannot be shown or done."""
    page = render("trouble.html", site=site, account=None, status=status, text=text)
    return HTMLResponse(page, status)


def on_bad_request(request: Request, error: Exception) -> Response:
    """Answer what no page of ours would ask."""
    return trouble(request.app.state.site, 400, f"That is no request of this page: {error}.")


def on_refusal(request: Request, error: Exception) -> Response:
    """Answer when something cannot be; a busy database is worth another try."""
    site: Site = request.app.state.site
    if isinstance(error, UsageError):
        return trouble(site, 404, sentence(str(error)))
    logger.error("the page could not answer: %s", error)
    status = 503 if isinstance(error, DatabaseBusyError) else 500
    return trouble(site, status, sentence(str(error)))


def on_fault(request: Request, _: Exception) -> Response:
    """Answer a fault of the program; what it is goes into the log, by its kind alone."""
    return trouble(request.app.state.site, 500, "A fault of the program; the log names it.")


def sentence(said: str) -> str:
    """Make a sentence of what the command line says in a line."""
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "!")) else ".")


_ENVIRONMENT = Environment(
    loader=PackageLoader("node.page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "duration": words.duration,
    "moment": words.moment,
    "iso": words.iso,
    "gibibytes": words.gibibytes,
}
_ENVIRONMENT.globals |= {"words": words, "version": PRODUCT_VERSION}


def render(template: str, **values: Any) -> str:
    """Fill a template in."""
    return _ENVIRONMENT.get_template(template).render(**values)

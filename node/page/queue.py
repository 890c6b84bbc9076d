"""The queue: studies, the latest first, by filters and in pages, and how the node stands above."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import RedirectResponse, Response

from node.operating.overview import Overview
from node.page import words
from node.page.answers import BadRequest, tag_of
from node.page.visits import PRODUCT_VERSION, Fragment, Visit
from storage.records import ListedStudy, Standing, StudyFilter

ROWS = 50
MOST_NUMBER = 2**31 - 1


@dataclass(frozen=True)
class Shown:
    """A page of the queue.

    Attributes
    ----------
    link
        Query of this page, without its beginning.
    next_before
        Where the next page begins; None if this is the last.
    """

    studies: tuple[ListedStudy, ...]
    wanted: StudyFilter
    before: int | None
    next_before: int | None

    @property
    def link(self) -> str:
        """Query of the first page with these filters."""
        return urlencode(_fields(self.wanted))

    @property
    def query(self) -> str:
        """Query of this page."""
        at = {} if self.before is None else {"before": self.before}
        return urlencode({**_fields(self.wanted), **at})

    @property
    def next_query(self) -> str:
        """Query of the next page."""
        return urlencode({**_fields(self.wanted), "before": self.next_before})


def show(visit: Visit) -> Response:
    """Show the queue."""
    shown, now = _read(visit)
    with visit.site.database.read() as transaction:
        senders = transaction.listing.senders()
    return visit.render(
        "queue.html", shown=shown, now=now, overview=visit.site.overview(), senders=senders
    )


def live(visit: Visit) -> Response:
    """Show what changes of it: read once for all who look at the same page of it."""
    place = _wanted(visit.request.query_params)

    def read() -> Fragment:
        shown, now = _read(visit)
        overview = visit.site.overview()
        return Fragment(
            tag_of(PRODUCT_VERSION, shown, stable(overview)),
            lambda: visit.fragment("queue_live.html", shown=shown, now=now, overview=overview),
        )

    return visit.answer(visit.site.fragments.get(read, place))


def search(visit: Visit) -> Response:
    """Go to a study or job by its number; what was typed stands in no address."""
    typed = visit.form.get("number", "").strip().lstrip("#")
    if not typed.isascii() or not typed.isdigit() or int(typed) > MOST_NUMBER:
        visit.site.notes.leave(
            visit.visitor.token,
            "Search takes the number of a study or a job; it knows no names.",
            is_error=True,
        )
        return RedirectResponse("/", 303)
    with visit.site.database.read() as transaction:
        found = transaction.listing.studies(StudyFilter(number=int(typed)), limit=2)
    if len(found) == 1:
        return RedirectResponse(f"/studies/{found[0].id}", 303)
    return RedirectResponse(f"/?number={int(typed)}", 303)


def stable(overview: Overview) -> tuple[object, ...]:
    """Give what of the strip above changes by itself, without the time."""
    waiting = overview.oldest_waiting
    return (
        overview.studies,
        overview.jobs,
        None if waiting is None else waiting.job_id,
        tuple((each.executor_id, each.alive) for each in overview.workers),
        overview.draining,
        tuple((d.destination, d.num_pending, d.num_dead) for d in overview.destinations),
    )


def _read(visit: Visit) -> tuple[Shown, datetime]:
    wanted, before = _wanted(visit.request.query_params)
    with visit.site.database.read() as transaction:
        now = transaction.now()
        found = transaction.listing.studies(wanted, before=before, limit=ROWS + 1)
    studies = found[:ROWS]
    next_before = studies[-1].id if len(found) > ROWS else None
    return Shown(studies, wanted, before, next_before), now


def _wanted(query: QueryParams) -> tuple[StudyFilter, int | None]:
    """Read filters and place out of a query.

    Raises
    ------
    BadRequest
        If one of them is none that a page of ours would name.
    """
    standing, outcome = query.get("standing") or None, query.get("outcome") or None
    sender = query.get("sender") or None
    if standing is not None and standing not in tuple(Standing):
        raise BadRequest("there is no such state")
    if outcome is not None and outcome not in words.OUTCOMES:
        raise BadRequest("there is no such outcome")
    if sender is not None and len(sender) > 16:
        raise BadRequest("there is no such sender")
    wanted = StudyFilter(
        standing=None if standing is None else Standing(standing),
        outcome=outcome,
        sender=sender,
        number=_number(query.get("number")),
    )
    return wanted, _number(query.get("before"))


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) > MOST_NUMBER:
        raise BadRequest("there is no such number")
    return int(text)


def _fields(wanted: StudyFilter) -> Mapping[str, object]:
    named = {
        "standing": wanted.standing,
        "outcome": wanted.outcome,
        "sender": wanted.sender,
        "number": wanted.number,
    }
    return {name: value for name, value in named.items() if value is not None}

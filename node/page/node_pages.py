"""The node itself: destinations, workers, disk, what was put aside, and plots of the last days."""

from starlette.responses import Response

from node.page.plots import SPANS, Plots, draw_plots
from node.page.visits import Visit

DEFAULT_SPAN = "24h"


def destinations(visit: Visit) -> Response:
    """Show who gets results, and what waits for them."""
    overview = visit.site.overview()
    return visit.render("destinations.html", overview=overview, now=overview.now)


def destinations_live(visit: Visit) -> Response:
    """Show what changes of it."""
    overview = visit.site.overview()
    parts = (overview.destinations, overview.refusals)
    return visit.live("destinations_live.html", *parts, overview=overview, now=overview.now)


def node(visit: Visit) -> Response:
    """Show workers, disk, quarantine and what was put aside."""
    overview = visit.site.overview()
    return visit.render("node.html", overview=overview, now=overview.now)


def node_live(visit: Visit) -> Response:
    """Show what changes of it."""
    overview = visit.site.overview()
    parts = (
        # a sign of life every few seconds is no news
        tuple((w.executor_id, w.alive) for w in overview.workers),
        overview.draining,
        overview.quarantined,
        overview.conflicts,
        round((overview.disk.free_bytes or 0) / 2**27),
    )
    return visit.live("node_live.html", *parts, overview=overview, now=overview.now)


def plots(visit: Visit) -> Response:
    """Show how many reports there were, and how long they took."""
    wanted = visit.request.query_params.get("span", DEFAULT_SPAN)
    span = wanted if wanted in SPANS else DEFAULT_SPAN

    def draw() -> Plots:
        with visit.site.database.read() as transaction:
            now = transaction.now()
            begin = now - SPANS[span].length
            return draw_plots(
                transaction.listing.finished(begin),
                transaction.listing.sent(begin),
                span=SPANS[span],
                now=now,
            )

    drawn = visit.site.plots.get(draw, span)
    return visit.render("plots.html", plots=drawn, spans=SPANS, span=span)

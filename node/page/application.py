"""The page's paths: who may ask for what, and what answers."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from config.errors import MidlineError
from node.page import acting, answers, door, health, metrics, node_pages, queue, study, visits
from node.page.acting import acting as act
from node.page.answers import BadRequest, Frontier
from node.page.metrics import Figures
from node.page.visits import Act, Site, Visit, opened, render, visited
from storage.records import AccountRole

STATIC: Mapping[str, str] = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
SIGN_IN_COOKIE = "midline-sign-in"

PAGES: Mapping[str, Act] = {
    "/": queue.show,
    "/studies/{study_id:int}": study.show,
    "/destinations": node_pages.destinations,
    "/node": node_pages.node,
    "/plots": node_pages.plots,
}
LIVE: Mapping[str, Act] = {
    "/live/queue": queue.live,
    "/live/studies/{study_id:int}": study.live,
    "/live/destinations": node_pages.destinations_live,
    "/live/node": node_pages.node_live,
}
"""What an open page asks for by itself."""
SLICES: Mapping[str, Act] = {
    "/jobs/{job_id:int}/slices/{number:int}.png": study.picture,
    "/live/jobs/{job_id:int}/slices": study.slices,
}
"""What takes seconds the first time."""
ACTIONS: Mapping[str, Act] = {
    "/jobs/{job_id:int}/retry": act(acting.retry),
    "/jobs/{job_id:int}/resend": act(acting.resend),
    "/jobs/{job_id:int}/cancel": act(acting.cancel),
    "/jobs/{job_id:int}/priority": act(acting.prioritise),
    "/studies/{study_id:int}/readmit": act(acting.readmit),
    "/node/drain": act(acting.drain, back_to="/node"),
    "/node/resume": act(acting.resume, back_to="/node"),
}
"""What operators alone may do."""


def application(site: Site, figures: Figures) -> ASGIApp:
    """Put the page together."""
    routes = [
        *(_get(path, visited(path, answer)) for path, answer in PAGES.items()),
        *(_get(path, visited(path, answer, by_hand=False)) for path, answer in LIVE.items()),
        *(
            _get(path, visited(path, answer, by_hand=False, is_slow=True))
            for path, answer in SLICES.items()
        ),
        *(
            _post(path, visited(path, answer, role=AccountRole.OPERATOR))
            for path, answer in ACTIONS.items()
        ),
        _post("/search", visited("/search", queue.search)),
        _post("/sign-out", visited("/sign-out", _sign_out)),
        _get("/sign-in", opened("/sign-in", _ask_to_sign_in)),
        _post("/sign-in", _sign_in),
        _get("/static/{name}", opened("/static/{name}", _static)),
        _get("/health/live", opened("/health/live", _live)),
        _get("/health/ready", opened("/health/ready", _ready)),
    ]
    if site.settings.metrics.enabled:
        routes.append(_get("/metrics", opened("/metrics", _figures_for(figures))))
    app = Starlette(
        routes=routes,
        exception_handlers={
            BadRequest: visits.on_bad_request,
            404: _no_such_page,
            405: _no_such_page,
            MidlineError: visits.on_refusal,
            Exception: visits.on_fault,
        },
    )
    app.state.site = site
    return Frontier(app, site.settings.page, figures.observe)


def _get(path: str, endpoint: visits.Endpoint) -> Route:
    return Route(path, endpoint, methods=["GET"])


def _post(path: str, endpoint: visits.Endpoint) -> Route:
    return Route(path, endpoint, methods=["POST"])


def _site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _ask_to_sign_in(request: Request, *, problem: str = "", status: int = 200) -> Response:
    """Show the form; its token is bound to a cookie of its own, as nobody is signed in yet."""
    site = _site_of(request)
    secret = request.cookies.get(SIGN_IN_COOKIE) or door.new_token()
    with site.database.read() as transaction:
        has_accounts = transaction.accounts.any()
    text = render(
        "sign_in.html",
        site=site,
        account=None,
        form_token=door.form_token_of(secret),
        problem=problem,
        has_accounts=has_accounts,
    )
    answer = HTMLResponse(text, status)
    _set_cookie(site, answer, SIGN_IN_COOKIE, secret, path="/sign-in")
    return answer


async def _sign_in(request: Request) -> Response:
    request.scope["midline.pattern"] = "/sign-in"
    form = await answers.read_form(request)
    return await visits.in_turn(visits.turns_of(request, is_slow=True), _let_in, request, form)


def _let_in(request: Request, form: Mapping[str, str]) -> Response:
    site, secret = _site_of(request), request.cookies.get(SIGN_IN_COOKIE, "")
    genuine = secret and door.is_form_token(form.get("token", ""), secret)
    if not (genuine and answers.is_of_our_page(request)):
        return _ask_to_sign_in(request, problem="This form is out of date. Try again.", status=403)
    try:
        token = site.door.sign_in(
            form.get("name", "").strip(),
            form.get("password", ""),
            address=answers.address_of(request),
        )
    except door.Refused as refused:
        status = 429 if str(refused) == door.TOO_MANY else 403
        return _ask_to_sign_in(request, problem=str(refused), status=status)
    answer = RedirectResponse("/", 303)
    _set_cookie(site, answer, site.cookie, token)
    answer.delete_cookie(SIGN_IN_COOKIE, path="/sign-in")
    return answer


def _sign_out(visit: Visit) -> Response:
    visit.site.door.sign_out(visit.visitor)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(
        visit.site.cookie,
        secure=visit.site.settings.page.tls,
        httponly=True,
        samesite="strict",
    )
    return answer


def _set_cookie(site: Site, answer: Response, name: str, value: str, *, path: str = "/") -> None:
    """Set a cookie that no script reads and no other site has sent; it ends with the browser."""
    answer.set_cookie(
        name,
        value,
        path=path,
        secure=site.settings.page.tls,
        httponly=True,
        samesite="strict",
    )


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return PlainTextResponse("there is no such file", 404)
    content = _content_of(name)
    tag = answers.tag_of(content)
    known = answers.unchanged(request, tag)
    if known is None:
        known = Response(content, media_type=STATIC[name], headers={"ETag": tag})
    known.headers["Cache-Control"] = "no-cache"
    return known


@cache
def _content_of(name: str) -> bytes:
    return files("node.page").joinpath("static", name).read_bytes()


def _live(_: Request) -> Response:
    return PlainTextResponse("alive\n")


def _ready(request: Request) -> Response:
    """Tell whether the node is ready; why not, only those who may read its figures."""
    site = _site_of(request)
    found = health.checks(site.database, site.overview)
    is_ready = all(found.values())
    told: dict[str, object] = {"ready": is_ready}
    if answers.comes_from(request, site.settings.metrics.addresses):
        told["checks"] = dict(found)
    return Response(
        json.dumps(told) + "\n", 200 if is_ready else 503, media_type="application/json"
    )


def _figures_for(figures: Figures) -> Callable[[Request], Response]:
    def write(request: Request) -> Response:
        if not answers.comes_from(request, _site_of(request).settings.metrics.addresses):
            return PlainTextResponse("see metrics.addresses\n", 403)
        return Response(figures.write(), media_type=metrics.CONTENT_TYPE)

    return write


def _no_such_page(request: Request, _: Exception) -> Response:
    return visits.trouble(_site_of(request), 404, "There is no such page.")

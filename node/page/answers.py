"""Requests as the page takes them, and answers as it gives them: forms, headers, sizes.

Every answer carries the headers that keep a browser from doing more with it than show it: nothing
is loaded from elsewhere, no script stands in a page, nobody frames it, and nothing is cached.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.log import describe
from config.sections.base import Network, is_loopback
from config.settings import PageSettings

logger = logging.getLogger(__name__)

MOST_FORM_BYTES = 8192
MOST_FIELDS = 20
FORM = "application/x-www-form-urlencoded"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # without any, browsers hide where a form came from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
STRICT_TRANSPORT = "max-age=31536000"

Observe = Callable[[str, int, float], None]
"""Is told of each answer: pattern of its path, status, seconds."""


class BadRequest(Exception):  # noqa: N818 - the fault is the caller's
    """Something that no page of ours would ask."""


class Frontier:
    """What every request passes: names of the host, headers of the answer, and a line in the log.

    Parameters
    ----------
    app
        The page.
    settings
        Say under which names it is reached, and whether it speaks TLS.
    observe
        Is told of each answer.
    """

    def __init__(self, app: ASGIApp, settings: PageSettings, observe: Observe) -> None:
        self._app, self._settings, self._observe = app, settings, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.monotonic(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(MutableHeaders(scope=message))
            await send(message)

        try:
            await self._answer(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - a traceback could quote a patient's data
            # the visitor has got an answer by then
            logger.error("a fault of the page: %s", describe(error))  # noqa: TRY400
        finally:
            seconds, pattern = time.monotonic() - begin, _pattern_of(scope)
            self._observe(pattern, status, seconds)
            # the pattern, not the path: nothing that somebody typed is logged
            level = logging.INFO if scope["method"] == "POST" else logging.DEBUG
            said = (scope["method"], pattern, status, 1000 * seconds)
            logger.log(level, "%s %s: %d in %.0f ms", *said)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_ours(Headers(scope=scope).get("host", "")):
            answer = PlainTextResponse("This page has another name: see page.host_names.", 421)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        """Whether a page on loopback is asked under its own name, and not by a name that lies."""
        name = _name_in(host)
        if name is not None and name in self._settings.host_names:
            return True
        if self._settings.host_names or is_loopback(self._settings.host):
            return name is not None and is_loopback(name)
        return name is not None

    def _complete(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        if self._settings.tls:
            headers["Strict-Transport-Security"] = STRICT_TRANSPORT


def _name_in(host: str) -> str | None:
    """Read the name of a Host header, without its port; None if it has none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _pattern_of(scope: Scope) -> str:
    """Pattern of the route that took a request."""
    return str(scope.get("midline.pattern", "unknown"))


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client is not None else "unknown"


def comes_from(request: Request, networks: tuple[Network, ...]) -> bool:
    """Whether a request comes from one of some networks."""
    try:
        address = ip_address(address_of(request))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


async def read_form(request: Request) -> dict[str, str]:
    """Read the fields of a form of ours.

    Raises
    ------
    BadRequest
        If it is too long, or none.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != FORM:
        raise BadRequest("a form is expected")
    content = bytearray()
    try:
        async for part in request.stream():
            content += part
            if len(content) > MOST_FORM_BYTES:
                raise BadRequest("a form is too long")
    except ClientDisconnect as error:
        raise BadRequest("a form was cut off") from error
    try:
        return dict(parse_qsl(content.decode(), True, True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise BadRequest("a form cannot be read") from error


def is_of_our_page(request: Request) -> bool:
    """Whether a browser says that a form was sent from a page of this host."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def tag_of(*parts: object) -> str:
    """Make an ETag of what an answer is made of."""
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


def unchanged(request: Request, tag: str) -> Response | None:
    """Answer that whoever asks has it already; None if they have not."""
    if tag in (part.strip() for part in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers={"ETag": tag})
    return None

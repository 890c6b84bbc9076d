"""HTTP requests to the DICOMweb services of the site, within bounds.

urllib3 tells of failures in many ways; here they become our errors once (`config.errors`). No
redirection is followed, since token and patient are for this service alone. What a service answers
is foreign: it is read up to a limit and up to a time, not decompressed, and never quoted.
"""

import json
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ReadTimeoutError, SSLError
from urllib3.response import BaseHTTPResponse

from config.errors import PeerError, PeerRefusedError, PeerUnavailableError, SettingsError
from node.tls import TLSFacts, facts_of, fault_of

MOST_BYTES = 1 << 20
"""Of an answer; one object's is some hundred bytes long."""
LONGEST_PAUSE = timedelta(hours=1)
"""A longer Retry-After counts as this: a mistake there must not stop a queue for days."""
DICOM_JSON = "application/dicom+json"
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 2.1."""
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Answer:
    """What a service answered.

    Attributes
    ----------
    status
        HTTP status code (RFC 9110 15).
    pause
        So long it wants to be left alone (RFC 9110 10.2.3).
    content
        Its payload; empty if that is compressed, too long, or was too slow.
    date
        When it answered, by its own clock (RFC 9110 6.6.1); None if it does not say.
    tls
        What was agreed on; None without TLS.
    """

    status: int
    pause: timedelta
    content: bytes
    date: datetime | None = None
    tls: TLSFacts | None = None

    def __str__(self) -> str:
        """Name the status in the words of its standard, for example ``HTTP 404 Not Found``."""
        try:
            return f"HTTP {self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return f"HTTP {self.status}"

    def json(self) -> object:
        """Payload as JSON; None if it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


class Endpoint(Protocol):
    """Where requests go.

    Attributes
    ----------
    url
        Base of all resources.
    address
        How it is named to people.
    token_file
        File of the bearer token that it asks for; None if it asks for none.
    authorities
        File of the authorities that its certificate must come from; None for the system's.
    timeout_seconds
        Wait for its answer.
    """

    @property
    def url(self) -> str: ...  # noqa: D102 - described above
    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def token_file(self) -> Path | None: ...  # noqa: D102
    @property
    def authorities(self) -> Path | None: ...  # noqa: D102
    @property
    def timeout_seconds(self) -> float: ...  # noqa: D102


class WebService:
    """An open connection to one service; see `connected`."""

    def __init__(self, pool: urllib3.HTTPConnectionPool, destination: Endpoint, token: str) -> None:
        self._pool, self._destination = pool, destination
        self._headers = {
            "Accept": DICOM_JSON,
            "Accept-Encoding": "identity",
            "User-Agent": "Midline",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }

    def __str__(self) -> str:
        """Name it by its base URL."""
        return self._destination.address

    def post(
        self,
        path: str,
        body: Iterable[bytes],
        *,
        num_bytes: int,
        content_type: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """Send a payload of known length to a resource below the base, or to the base itself.

        Raises
        ------
        PeerUnavailableError
            If there is no connection, or no answer in time.
        PeerRefusedError
            If one side does not accept the certificate of the other.
        """
        described = {"Content-Type": content_type, "Content-Length": str(num_bytes)}
        return self._ask("POST", path, {**headers, **described}, body)

    def get(self, path: str) -> Answer:
        """Ask for a resource; raises as `post`."""
        return self._ask("GET", path, {})

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] | None = None,
    ) -> Answer:
        base = urlsplit(self._destination.url).path
        resource = base.rstrip("/") + path if path else base or "/"
        try:
            response = self._pool.urlopen(
                method,
                resource,
                body=body,
                headers={**self._headers, **headers},
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            tls = facts_of(_socket_of(response), now=datetime.now(UTC))
            try:
                content = _read(response, seconds=self._destination.timeout_seconds)
            finally:
                response.release_conn()
        except (HTTPError, OSError) as error:
            raise _named(error, self._destination) from error
        pause = _pause(response.headers.get("Retry-After"))
        return Answer(response.status, pause, content, _date(response.headers.get("Date")), tls)


@contextmanager
def connected(destination: Endpoint) -> Iterator[WebService]:
    """Prepare a connection to a service; it is opened by the first request.

    Raises
    ------
    SettingsError
        If the files of token or authorities cannot be used.
    """
    parts = urlsplit(destination.url)
    timeout = urllib3.Timeout(
        connect=min(destination.timeout_seconds, 10.0), read=destination.timeout_seconds
    )
    host, token = str(parts.hostname), _token(destination.token_file)
    pool = (
        urllib3.HTTPSConnectionPool(
            host,
            parts.port or 443,
            timeout=timeout,
            maxsize=1,
            ssl_context=_context(destination.authorities),
        )
        if parts.scheme == "https"
        else urllib3.HTTPConnectionPool(host, parts.port or 80, timeout=timeout, maxsize=1)
    )
    with pool:
        yield WebService(pool, destination, token)


def _context(authorities: Path | None) -> ssl.SSLContext:
    """Client context: TLS 1.2 or newer, host name and certificate checked."""
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"authorities: {authorities} cannot be read as certificates in PEM"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _token(path: Path | None) -> str:
    """Read the bearer token anew, since it may have been replaced; empty if there is none."""
    if path is None:
        return ""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"token_file: {path} cannot be read") from error
    if not TOKEN.fullmatch(token):
        raise SettingsError(f"token_file: {path} holds no bearer token (RFC 6750 2.1)")
    return token


def _read(response: BaseHTTPResponse, *, seconds: float) -> bytes:
    """Read a payload within its bounds; empty if it goes beyond them."""
    until = time.monotonic() + seconds
    is_plain = response.headers.get("Content-Encoding", "identity").strip().lower() == "identity"
    content = bytearray()
    while is_plain and len(content) <= MOST_BYTES and time.monotonic() < until:
        chunk = response.read1(_CHUNK_BYTES)
        if not chunk:
            return bytes(content)
        content += chunk
    # a connection with something left in it cannot be used again
    response.close()
    return b""


def _pause(retry_after: str | None) -> timedelta:
    """Read Retry-After: seconds, or a date (RFC 9110 10.2.3)."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=int(text[:9])), LONGEST_PAUSE)
    try:
        pause = parsedate_to_datetime(text).astimezone(UTC) - datetime.now(UTC)
    except (ValueError, OverflowError):
        return timedelta(0)
    return min(max(pause, timedelta(0)), LONGEST_PAUSE)


def _date(text: str | None) -> datetime | None:
    """Read Date; None if there is none, or it is no date with its zone."""
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return None if date.tzinfo is None else date.astimezone(UTC)


def _socket_of(response: BaseHTTPResponse) -> object:
    """Find the connection under an answer that has not been read yet."""
    return getattr(getattr(response, "connection", None), "sock", None)


def _named(error: HTTPError | OSError, destination: Endpoint) -> PeerError:
    """Name a failure of the library in our words."""
    where = destination.address
    cause = error.args[0] if isinstance(error, SSLError) and error.args else error
    fault = fault_of(cause) if isinstance(cause, OSError) else ""
    if fault:
        return PeerRefusedError(f"no TLS connection with {where}: {fault}")
    if isinstance(error, ReadTimeoutError):
        return PeerUnavailableError(f"{where} did not answer in time")
    if isinstance(error, ConnectTimeoutError | urllib3.exceptions.NewConnectionError):
        return PeerUnavailableError(f"no connection with {where}")
    return PeerUnavailableError(f"the connection with {where} ended")

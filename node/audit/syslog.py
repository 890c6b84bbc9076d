"""Handing messages on to an audit record repository: syslog over TLS (PS3.15 A.6, RFC 5424, 5425).

A batch goes over one connection, in order. Syslog has no acknowledgement; but after the last octet
this side closes TLS, and the repository's own close, or the end of its stream, comes only after it
took everything before. Then the batch is marked; else it is sent again, so that a message may come
twice, but none is left out and none overtakes another.
"""

import contextlib
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from config.errors import MidlineError, PeerRefusedError, PeerUnavailableError
from config.settings import AuditSettings
from node.audit.codes import Outcome
from node.audit.markup import as_xml
from node.audit.messages import Message, from_json
from storage.database import Database
from storage.records import AuditRecord

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH = 200
CONNECT_SECONDS = 10.0
READ_BYTES = 1 << 14
SEND_SECONDS = 30.0
"""For one batch to go, and for the repository to close."""
LOOK_SECONDS = 2.0
"""Between two looks for new messages."""
LONGEST_PAUSE_SECONDS = 300.0
FACILITY = 10
"""Security and authorization messages (PS3.15 A.6)."""
NOTICE, WARNING = 5, 4
APP_NAME = "midline"
MESSAGE_ID = "DICOM+RFC3881"
CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Says that the text is UTF-8 (RFC 5424 6.4)."""


@dataclass(frozen=True)
class Repository:
    """Where messages go."""

    host: str
    port: int
    tls: ssl.SSLContext

    def __str__(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"


def frame(message: Message) -> bytes:
    """Write a message as one syslog frame: its length, and as many octets (RFC 5425 4.3)."""
    severity = NOTICE if message.outcome is Outcome.SUCCESS else WARNING
    moment = message.moment.astimezone(UTC).isoformat(timespec="milliseconds")
    host = socket.gethostname() or "-"
    header = (
        f"<{8 * FACILITY + severity}>1 {moment.replace('+00:00', 'Z')} {host} {APP_NAME}"
        f" {os.getpid()} {MESSAGE_ID} - "
    )
    octets = header.encode("ascii", "replace") + BYTE_ORDER_MARK + as_xml(message).encode()
    return b"%d %s" % (len(octets), octets)


def send(messages: Sequence[Message], repository: Repository) -> None:
    """Send a batch on one connection; when this returns, the repository has read all of it.

    Raises
    ------
    PeerUnavailableError
        If there is no connection, or it ends before everything was read.
    PeerRefusedError
        If one side does not accept the other's certificate.
    """
    octets = b"".join(map(frame, messages))
    try:
        with socket.create_connection((repository.host, repository.port), CONNECT_SECONDS) as plain:
            plain.settimeout(SEND_SECONDS)
            channel = _Channel(plain, repository.tls, repository.host)
            channel.write(octets)
            channel.close()
    except OSError as error:
        if isinstance(error, ssl.SSLError) and error.reason and not isinstance(error, CUT_OFF):
            raise PeerRefusedError(
                f"no TLS with the audit record repository {repository}: {error.reason}"
            ) from error
        raise PeerUnavailableError(
            f"the audit record repository {repository} is away ({type(error).__name__})"
        ) from error


class _Channel:
    """TLS on a connection, closed so that the other side's answer to it is seen.

    With TLS 1.3 a certificate is refused after the handshake, by an alert that the socket of the
    standard library takes for the end when it closes. Here the close is sent first, and what comes
    is read then.
    """

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, name: str) -> None:
        self._plain, self._incoming, self._outgoing = plain, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._do(self._tls.do_handshake)

    def write(self, octets: bytes) -> None:
        """Write everything."""
        self._tls.write(octets)
        self._flush()

    def close(self) -> None:
        """Close TLS, and wait until the other side does: it has read everything then.

        A repository that only ends its stream has read it as well; one that died with messages
        unread resets the connection, which is an error like an alert.
        """
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        with contextlib.suppress(*CUT_OFF):
            while self._do(lambda: self._tls.read(READ_BYTES)):
                pass  # a repository has nothing to say

    def _do(self, action: Callable[[], T]) -> T:
        """Do something for which the other side may have to say something first."""
        while True:
            try:
                done = action()
            except ssl.SSLWantReadError:
                self._flush()
                received = self._plain.recv(READ_BYTES)
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # tells the other side what is wrong
                raise
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._plain.sendall(self._outgoing.read())


class Forwarder:
    """Hands on what no repository has yet, in order.

    Parameters
    ----------
    database
        Where the trail is.
    repository
        Who gets it.
    is_first
        Whether this process is the one of several to do it.
    """

    def __init__(
        self, database: Database, repository: Repository, *, is_first: Callable[[], bool]
    ) -> None:
        self._database, self._repository, self._is_first = database, repository, is_first

    def forward(self) -> int:
        """Send one batch; returns how many messages.

        Raises
        ------
        PeerError, StorageError
            If it could not be sent or marked; then it is sent again.
        """
        if not self._is_first():
            return 0
        with self._database.read() as transaction:
            waiting = transaction.audit.waiting(limit=BATCH)
        if not waiting:
            return 0
        readable = [message for each in waiting if (message := _message_of(each)) is not None]
        send(readable, self._repository)
        with self._database.begin() as transaction:
            transaction.audit.mark_forwarded([each.id for each in waiting], now=datetime.now(UTC))
        return len(waiting)

    def forward_until(self, stop: threading.Event) -> None:
        """Send what there is, again and again; longer pauses while the repository is away."""
        pause = LOOK_SECONDS
        while not stop.wait(pause):
            try:
                while self.forward() == BATCH and not stop.is_set():
                    pass
            except MidlineError as error:
                if pause == LOOK_SECONDS:
                    logger.warning("the audit trail waits to be forwarded: %s", error)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                if pause > LOOK_SECONDS:
                    logger.info("the audit trail is forwarded again")
                pause = LOOK_SECONDS


def _message_of(record: AuditRecord) -> Message | None:
    """Read a message; one that was damaged must not hold up those after it."""
    try:
        return from_json(record.message_json)
    except ValueError:
        logger.error(  # noqa: TRY400 - its text is foreign
            "message %d of the audit trail is damaged and was not forwarded; midline audit verify",
            record.id,
        )
        return None


def repository_of(settings: AuditSettings, tls: ssl.SSLContext | None) -> Repository | None:
    """Name the repository of the settings; None if there is none."""
    if settings.syslog_host is None or tls is None or not settings.enabled:
        return None
    return Repository(settings.syslog_host, settings.syslog_port, tls)


def is_first_of(database: Database, executor_id: str, *, timeout: timedelta) -> bool:
    """Whether a process is the longest running one of its kind: one hands on for all hosts."""
    with database.read() as transaction:
        alive = transaction.workers.alive(now=transaction.now(), timeout=timeout)
    own = [worker for worker in alive if worker.executor_id == executor_id]
    return bool(own) and own[0] == next(each for each in alive if each.role == own[0].role)

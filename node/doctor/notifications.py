"""Whether those who are told of reports can be told: files of keys, and somebody who listens."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from config.errors import SettingsError
from config.settings import HL7ReceiverSettings, Settings, WebhookSettings
from node.doctor.findings import Ailment, Check, Finding, Level
from node.notifying.webhook import secret_of
from node.web import connected

DEFAULT_PORTS = {"http": 80, "https": 443}

NO_ACCESS = Ailment(
    "notifications.access",
    Level.FAULT,
    "webhook {name}: {error}",
    "let the user that runs the node read the file; "
    "(printf whsec_; openssl rand -base64 32) makes a secret",
)
AWAY = Ailment(
    "notifications.away",
    Level.FAULT,
    "{name}: nobody listens at {address}",
    "start it, and let the firewall pass; midline notifications test {name} sends it a message",
)


def look(settings: Settings) -> Iterator[Finding]:
    """Read the files that are needed, and open a connection to each receiver; nothing is sent."""
    for hook in settings.webhooks:
        parts = urlsplit(hook.url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        yield _fault_of_files(hook) or _answering(hook, str(parts.hostname), port)
    for receiver in settings.hl7_receivers:
        yield _answering(receiver, receiver.host, receiver.port)
    if not settings.notified:
        yield CHECK.well("nobody is told of reports")


def _fault_of_files(hook: WebhookSettings) -> Finding | None:
    try:
        secret_of(hook.secret_file)
        with connected(hook):
            return None
    except SettingsError as error:
        return NO_ACCESS.found(name=hook.name, error=error)


def _answering(receiver: WebhookSettings | HL7ReceiverSettings, host: str, port: int) -> Finding:
    try:
        socket.create_connection((host, port), receiver.timeout_seconds).close()
    except OSError:
        return AWAY.found(name=receiver.name, address=receiver.address)
    return CHECK.well(f"{receiver.name} listens at {receiver.address}")


CHECK = Check(
    "notifications",
    "Those who are told of reports: their keys can be read, and somebody listens.",
    (NO_ACCESS, AWAY),
    look,
)

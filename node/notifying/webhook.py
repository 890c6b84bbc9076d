"""One attempt to tell a web server: POST of JSON, signed as Standard Webhooks 1.0 has it.

The signature is an HMAC-SHA256 over identifier, time and payload, so that nobody else can send such
a message, and nobody can send it again later (https://www.standardwebhooks.com).
"""

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path

from config.errors import PeerRefusedError, PeerUnavailableError, SettingsError
from config.settings import WebhookSettings
from node.notifying.notice import Notice
from node.web import connected

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
REPORTED, TRIED = "report.made", "test"
GONE = 410
"""The server wants no more messages, says the specification."""


def send_by_webhook(notice: Notice, receiver: WebhookSettings, *, now: datetime) -> None:
    """Send one message; whatever is not taken may be tried again, unless it is refused.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        If the server is not there or does not take it; refused, if it wants none at all.
    SettingsError
        If the files of secret, token or authorities cannot be used.
    """
    body = payload(notice)
    stamp = str(int(now.timestamp()))
    headers = {
        "webhook-id": notice.message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": signature(
            secret_of(receiver.secret_file), notice.message_id, stamp, body
        ),
    }
    with connected(receiver) as service:
        answer = service.post(
            "", [body], num_bytes=len(body), content_type="application/json", headers=headers
        )
    if 200 <= answer.status <= 299:
        return
    refuse = PeerRefusedError if answer.status == GONE else PeerUnavailableError
    raise refuse(f"{receiver.address} answered {answer}")


def payload(notice: Notice) -> bytes:
    """Write a message as JSON; the same bytes at each attempt."""
    told = {
        "type": TRIED if notice.is_test else REPORTED,
        "timestamp": notice.finished_at.isoformat(),
        "data": {
            "source": notice.source,
            "product": notice.product,
            "version": notice.version,
            "outcome": notice.outcome,
            "statement": notice.statement,
            "disclaimer": notice.disclaimer,
            "reason": notice.reason or None,
            "job": notice.job,
            "study": notice.study,
            **({"volume_ml": dict(notice.volume_ml)} if notice.volume_ml else {}),
            **notice.told,
        },
    }
    return json.dumps(told, sort_keys=True).encode()


def signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Sign a message: version and digest."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def secret_of(path: Path) -> bytes:
    """Read the key anew, since it may have been replaced.

    Raises
    ------
    SettingsError
        If the file cannot be read, or holds no key.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"secret_file: {path} cannot be read") from error
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) not in SECRET_BYTES:
        raise SettingsError(f"secret_file: {path} must hold {PREFIX} and 24 to 64 bytes in base64")
    return secret

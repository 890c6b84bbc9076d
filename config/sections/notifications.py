"""Who is told of reports beside those who get them: by webhook, or by HL7 v2."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, model_validator

from config.sections.base import Host, Name, PeerPort, Section, example, is_loopback

OutcomeName = Literal["POSITIVE", "NEGATIVE", "PARTIAL", "FAILED", "NOT_ATTEMPTED"]
Included = Literal[
    "study_instance_uid",
    "accession_number",
    "patient_id",
    "patient_name",
    "patient_birth_date",
    "findings",
]
HL7Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._-]{0,20}$")]


class NotifiedSettings(Section):
    """Somebody who is told of reports."""

    name: Name
    """Its name in lists, logs and the index."""
    outcomes: tuple[OutcomeName, ...] = ("POSITIVE", "FAILED")
    """Reports that it is told of, by what they say."""
    include: tuple[Included, ...] = ()
    """What it is told beside outcome and job: nothing of patient and study unless named here."""

    @property
    def address(self) -> str:
        """Where it is, for people; without anything secret."""
        raise NotImplementedError


class WebhookSettings(NotifiedSettings):
    """A web server that is told of reports by POST of JSON, signed (Standard Webhooks)."""

    model_config = example(
        name="chat",
        url="https://hooks.hospital.example/midline",
        secret_file="/etc/midline/webhook.secret",  # noqa: S106 - a path
        token_file="/etc/midline/webhook.token",  # noqa: S106 - a path
        authorities="/etc/midline/authorities.pem",
    )

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+", repr=False)]
    """Where the message goes; its path may be a secret, and is not shown."""
    secret_file: Path
    """File of the key that messages are signed with: whsec_ and 24 to 64 bytes in base64."""
    token_file: Path | None = None
    """File of the bearer token that it asks for."""
    authorities: Path | None = None
    """File of the authorities that its certificate must come from, PEM; else the system's."""
    timeout_seconds: PositiveFloat = 10.0
    """Wait for its answer, in seconds."""

    @model_validator(mode="after")
    def _url_is_private(self) -> Self:
        parts = urlsplit(self.url)
        if not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise ValueError("url must consist of printable ASCII characters, without spaces")
        if parts.port == 0 or parts.hostname is None:
            raise ValueError("url must name a host, and a port that exists or none")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("url must be scheme, host, port and path alone")
        if parts.scheme != "https" and not is_loopback(parts.hostname):
            raise ValueError("url must be https, or on a loopback address")
        return self

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class HL7ReceiverSettings(NotifiedSettings):
    """A system that is told of reports by HL7 v2.5.1 ORU^R01 over MLLP."""

    model_config = example(
        name="ris", host="ris.hospital.example", port=2575, plain_off_loopback=True
    )

    host: Host
    """Its host name or address."""
    port: PeerPort
    """Its TCP port."""
    tls: bool = False
    """Whether it speaks TLS; see [tls]."""
    plain_off_loopback: bool = False
    """Whether messages may go to another machine without TLS, where anybody can read along."""
    sending_application: HL7Name = "MIDLINE"
    """MSH-3: as whom the node writes."""
    sending_facility: HL7Name = ""
    """MSH-4."""
    receiving_application: HL7Name = ""
    """MSH-5."""
    receiving_facility: HL7Name = ""
    """MSH-6."""
    timeout_seconds: PositiveFloat = 10.0
    """Wait for its answer, in seconds."""

    @model_validator(mode="after")
    def _plain_is_asked_for(self) -> Self:
        if not (self.tls or self.plain_off_loopback or is_loopback(self.host)):
            raise ValueError(
                "host is not a loopback address: set tls, or plain_off_loopback if the network "
                "protects what travels on it"
            )
        return self

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

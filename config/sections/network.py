"""How others reach this node: its port, its certificates, and who may call."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from config.sections.base import (
    AETitle,
    Host,
    Name,
    Network,
    PeerPort,
    Port,
    Section,
    Sha256,
    example,
    is_loopback,
)


class NodeSettings(Section):
    """How modalities and peers reach this node."""

    ae_title: AETitle = "MIDLINE"
    """Application entity title of this node."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all interfaces."""
    port: Port = 11112
    """TCP port to listen on; 0 lets the system choose one."""
    allowed_calling_ae_titles: tuple[AETitle, ...] = ()
    """Who may send; empty means everyone, which only a loopback host may have."""
    tls: bool = False
    """Whether the port speaks TLS, with certificates on both sides; see [tls]."""
    plain_off_loopback: bool = False
    """Whether a port without TLS may be open to other machines, where anybody can read along."""
    listeners: Annotated[int, Field(ge=1, le=16)] = 1
    """Processes that receive on the one port. One is bound to one processor core; the limits below
    are those of each."""
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1 << 24)] = 131_072
    """Longest PDU that is accepted, in bytes."""
    max_associations: PositiveInt = 20
    """Associations served at the same time; further ones are rejected as congestion."""
    max_connections: PositiveInt = 60
    """Open connections in all, also those that have not said yet who they are."""
    max_connections_per_address: PositiveInt = 10
    """Open connections from one address."""
    max_instance_bytes: PositiveInt = 512 << 20
    """Largest image that is accepted, in bytes."""
    acse_timeout_seconds: PositiveFloat = 15.0
    """Wait for the messages that open and close an association, in seconds."""
    dimse_timeout_seconds: PositiveFloat = 60.0
    """Wait for a message within an association, in seconds."""
    network_timeout_seconds: PositiveFloat = 60.0
    """A silent association is aborted after this long, in seconds."""

    @model_validator(mode="after")
    def _a_shared_port_has_a_number(self) -> Self:
        if self.listeners > 1 and self.port == 0:
            raise ValueError("port must have a number where several listeners share it")
        return self

    @model_validator(mode="after")
    def _a_plain_port_is_asked_for(self) -> Self:
        if not (self.tls or self.plain_off_loopback or is_loopback(self.host)):
            raise ValueError(
                "host is not a loopback address: set tls, or plain_off_loopback if the network "
                "protects what travels on it"
            )
        return self


class TLSSettings(Section):
    """Certificates for DICOM over TLS (PS3.15 B.12), in both directions."""

    model_config = example(
        certificate="/etc/midline/node.pem",
        private_key="/etc/midline/node.key",
        authorities="/etc/midline/authorities.pem",
    )

    certificate: Path | None = None
    """File of this node's certificate and those that lead to its authority, PEM."""
    private_key: Path | None = None
    """File of its key, PEM, without a passphrase and readable by this user alone."""
    authorities: Path | None = None
    """File of the authorities that certificates of peers must come from, PEM."""
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    """Oldest version of TLS that is spoken."""
    handshake_timeout_seconds: PositiveFloat = 10.0
    """Wait for a peer's part of the handshake, in seconds."""
    warn_days_before_expiry: PositiveInt = 30
    """So long before it a certificate that expires is told, in days."""

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        files = (self.certificate, self.private_key, self.authorities)
        if any(files) and not all(files):
            raise ValueError("certificate, private_key and authorities are needed together")
        return self

    @property
    def is_set(self) -> bool:
        """Whether there are certificates to speak TLS with."""
        return self.certificate is not None


class QuerySettings(Section):
    """Where a sender answers queries, so that a count or missing images can be asked for."""

    model_config = example(ae_title="CT1", host="ct1.hospital.example", port=104)

    ae_title: AETitle
    """Application entity title that answers."""
    host: Host
    """Its host name or address."""
    port: PeerPort
    """Its TCP port."""
    tls: bool = False
    """Whether it speaks TLS."""
    retrieve: Literal["GET", "MOVE", "NONE"] = "GET"
    """How missing images are fetched: C-GET, C-MOVE to this node, or not at all."""


class EventReportSettings(Section):
    """Where a sender wants to be told what was committed."""

    model_config = example(host="ct1.hospital.example", port=104)

    host: Host
    """Its host name or address."""
    port: PeerPort
    """Its TCP port."""
    tls: bool = False
    """Whether it speaks TLS."""


class SenderSettings(Section):
    """An application entity that may call this node, and how it is known."""

    model_config = example(ae_title="CT1")

    ae_title: AETitle
    """Its application entity title."""
    addresses: tuple[Network, ...] = ()
    """Networks that it calls from, as 10.1.2.0/24 or 10.1.2.3/32; empty means any."""
    certificate_names: tuple[Name, ...] = ()
    """Names of which its certificate must carry one (CN or DNS); empty means any."""
    certificates_sha256: tuple[Sha256, ...] = ()
    """Digests of which its certificate must have one, hexadecimal; empty means any."""
    may_store: bool = True
    """Whether it may send images, or only verify."""
    priority: Literal["STAT", "HIGH", "ROUTINE", "LOW"] = "ROUTINE"
    """Which of its studies start before those of others when several wait, as the scanner of an
    emergency department; an operator may change it for a study."""
    query: QuerySettings | None = None
    """Where it answers queries; without it, none is asked."""
    event_reports: EventReportSettings | None = None
    """Where reports of storage commitment go; without it, it may not ask for commitment."""

"""Who may call this node, and what for: the table of application entities of a site.

An AE title is no authentication: whoever knows it can use it. So an entity can be bound to the
networks that it calls from and to its certificate; whoever does not fit is told what a stranger is
told.
"""

import hashlib
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from config.errors import SettingsError
from config.settings import SenderSettings, Settings


class Rejection(Enum):
    """Result, source and reason of A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    CALLING_AE_TITLE = (1, 1, 3)
    """Nobody of this AE title may call, or not from there, or not with this certificate."""
    CALLED_AE_TITLE = (1, 1, 7)
    """The node has another AE title."""
    TOO_MANY = (2, 3, 2)
    """So many associations are served that there is no room for one more."""
    FAULT = (2, 1, 1)
    """The node could not tell who calls."""


@dataclass(frozen=True)
class PeerCertificate:
    """What a certificate says that a peer has shown, and that TLS has verified.

    Attributes
    ----------
    names
        Common name of its subject, and its DNS names; lower case.
    sha256
        Digest of the certificate, hexadecimal.
    """

    names: frozenset[str]
    sha256: str

    @classmethod
    def of(cls, der: bytes) -> "PeerCertificate":
        """Read a certificate as TLS gives it."""
        certificate = x509.load_der_x509_certificate(der)
        names = [
            str(each.value)
            for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
        try:
            alternatives = certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            )
            names += alternatives.value.get_values_for_type(x509.DNSName)
        except x509.ExtensionNotFound:
            pass
        return cls(frozenset(map(str.lower, names)), hashlib.sha256(der).hexdigest())


@dataclass(frozen=True)
class Calling:
    """Who calls, as far as the association tells.

    Attributes
    ----------
    ae_title
        Calling AE title: what the peer says of itself.
    address
        Where its connection comes from.
    certificate
        What it has shown; None on a port without TLS.
    """

    ae_title: str
    address: IPv4Address | IPv6Address
    certificate: PeerCertificate | None = None

    @classmethod
    def by(cls, association: Association) -> "Calling":
        """Read off a requested association who calls.

        Raises
        ------
        ValueError
            If there is no connection any more, or its certificate cannot be read.
        """
        remote, transport = association.requestor.address_info, association.dul.socket
        connection = None if transport is None else transport.socket
        if remote is None or connection is None:
            raise ValueError("the connection is closed")
        address = ip_address(remote.address)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        der = None
        if isinstance(connection, ssl.SSLSocket):
            der = connection.getpeercert(binary_form=True)
        return cls(
            ae_title=_request(association).calling_ae_title.strip(),
            address=address,
            certificate=None if der is None else PeerCertificate.of(der),
        )


@dataclass(frozen=True)
class Acquaintance:
    """An application entity that may call.

    Attributes
    ----------
    ae_title
        Its AE title; empty for whoever calls.
    may_store
        Whether it may send images.
    sender
        How it is known, if it is one of ``[[senders]]``.
    is_destination
        Whether it gets results, and so may report what it committed to.
    """

    ae_title: str = ""
    may_store: bool = True
    sender: SenderSettings | None = None
    is_destination: bool = False

    def fits(self, calling: Calling) -> bool:
        """Whether this is who calls: by AE title, address and certificate."""
        if self.ae_title not in ("", calling.ae_title):
            return False
        sender = self.sender
        if sender is None:
            return True
        if sender.addresses and not any(calling.address in each for each in sender.addresses):
            return False
        shown = calling.certificate
        names = frozenset(map(str.lower, sender.certificate_names))
        if names and (shown is None or not names & shown.names):
            return False
        digests = sender.certificates_sha256
        return not digests or (shown is not None and shown.sha256 in digests)


class AETable:
    """The application entities that may call; without any, everybody may."""

    def __init__(self, acquaintances: Iterable[Acquaintance]) -> None:
        self._acquaintances = tuple(acquaintances)

    @classmethod
    def of(cls, settings: Settings) -> "AETable":
        """Make the table of a site.

        A title of ``node.allowed_calling_ae_titles`` that is also one of ``[[senders]]`` is known
        by what stands there, and so is a destination.

        Raises
        ------
        SettingsError
            If somebody is bound to a certificate, and the port does not ask for any.
        """
        for sender in settings.senders:
            is_bound = sender.certificate_names or sender.certificates_sha256
            if is_bound and not settings.node.tls:
                raise SettingsError(
                    f"sender {sender.ae_title!r} is known by its certificate: node.tls is needed"
                )
        results_to = {each.ae_title for each in settings.destinations}
        table = [
            Acquaintance(each.ae_title, each.may_store, each, each.ae_title in results_to)
            for each in settings.senders
        ]
        titles = {each.ae_title for each in settings.senders}
        allowed = set(settings.node.allowed_calling_ae_titles) - titles
        table += [Acquaintance(title, is_destination=title in results_to) for title in allowed]
        if not table:
            # only a listener on a loopback address has no list; see `Settings`
            table.append(Acquaintance())
            return cls((*(Acquaintance(t, is_destination=True) for t in results_to), *table))
        table += [
            Acquaintance(title, may_store=False, is_destination=True)
            for title in results_to - titles - allowed
        ]
        return cls(table)

    def find(self, calling: Calling) -> Acquaintance | None:
        """Find who calls; None for a stranger, and for who does not fit."""
        return next((each for each in self._acquaintances if each.fits(calling)), None)


class Admissions:
    """Associations that are served now, and as whom each was let in."""

    def __init__(self, table: AETable, *, ae_title: str, most: int) -> None:
        self._table, self._ae_title, self._most = table, ae_title, most
        self._admitted: dict[Association, Acquaintance] = {}
        self._lock = threading.Lock()

    def renew(self, table: AETable) -> None:
        """Let others in from now on; who was let in stays."""
        self._table = table

    def judge(self, association: Association) -> Rejection | None:
        """Decide on a request for an association; None lets it in.

        Raises
        ------
        ValueError
            If it cannot be told who calls.
        """
        known = self._table.find(Calling.by(association))
        if known is None:
            return Rejection.CALLING_AE_TITLE
        if _request(association).called_ae_title.strip() != self._ae_title:
            return Rejection.CALLED_AE_TITLE
        with self._lock:
            # half-open connections are associations to pynetdicom, and none here
            self._admitted = {a: who for a, who in self._admitted.items() if _is_served(a)}
            if len(self._admitted) >= self._most:
                return Rejection.TOO_MANY
            self._admitted[association] = known
            # pynetdicom notes it later, and others look for it from now on
            association.requestor.ae_title = _request(association).calling_ae_title
        return None

    def of(self, association: Association) -> Acquaintance | None:
        """As whom an association was let in; None if it was not."""
        with self._lock:
            return self._admitted.get(association)


def _is_served(association: Association) -> bool:
    """Whether it may still ask for something; its threads may take a little longer to end."""
    is_over = association.is_released or association.is_aborted
    return association.is_alive() and not is_over


def _request(association: Association) -> A_ASSOCIATE:
    request = association.requestor.primitive
    if request is None:
        raise ValueError("no association was requested")
    return request

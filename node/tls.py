"""TLS for DICOM in both directions (PS3.15 B.12: BCP 195, RFC 8996 and RFC 9325).

Both sides show certificates. A server's context serves no client, nor the other way round.
"""

import logging
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from config.errors import SettingsError
from config.settings import TLSSettings

logger = logging.getLogger(__name__)

CIPHERS = "ECDHE+AESGCM"
"""Of TLS 1.2 (RFC 9325 4.2); those of TLS 1.3 are all as good."""
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
SECONDS_OF_A_DAY = 86_400
FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Credentials:
    """Files that were found good, for a context.

    Attributes
    ----------
    certificate, private_key, authorities
        Files, PEM.
    """

    certificate: Path
    private_key: Path
    authorities: Path


def server_context(settings: TLSSettings, *, now: datetime) -> ssl.SSLContext:
    """Context for those who call the node: they have to show a certificate.

    Raises
    ------
    SettingsError
        As `checked`.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, settings, checked(settings, now=now))


def client_context(settings: TLSSettings, *, now: datetime) -> ssl.SSLContext:
    """Context for those whom the node calls; their host name is compared with their certificate.

    Raises
    ------
    SettingsError
        As `checked`.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, settings, checked(settings, now=now))


def renew_context(context: ssl.SSLContext, settings: TLSSettings, *, now: datetime) -> None:
    """Show from now on what the files hold now; authorities are added, and none is taken away.

    Raises
    ------
    SettingsError
        As `checked`; then the context stays as it was.
    """
    _load(context, checked(settings, now=now))


def page_context(settings: TLSSettings, *, now: datetime) -> ssl.SSLContext:
    """Context for browsers on the node's page: people sign in with a password, not a certificate.

    Raises
    ------
    SettingsError
        As `checked`.
    """
    context = server_context(settings, now=now)
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(protocol: int, settings: TLSSettings, files: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = VERSIONS[settings.minimum_version]
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # a client's context compares host names, and says so before it requires certificates
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: Credentials) -> None:
    try:
        context.load_cert_chain(files.certificate, files.private_key)
        context.load_verify_locations(files.authorities)
    except ssl.SSLError as error:
        raise SettingsError(
            f"tls: {files.certificate}, {files.private_key} and {files.authorities} are not taken "
            f"by OpenSSL ({error.reason})"
        ) from error


def checked(settings: TLSSettings, *, now: datetime) -> Credentials:
    """Check the files of certificates and key; tell if the certificate expires soon.

    Raises
    ------
    SettingsError
        If a file is missing or no PEM of its kind, if others may read the key, if it is not that of
        the certificate, or if the certificate is not valid now.
    """
    if not (settings.certificate and settings.private_key and settings.authorities):
        raise SettingsError("tls: certificate, private_key and authorities are needed to speak TLS")
    certificate = _certificates(settings.certificate, "tls.certificate")[0]
    if _public_key(settings.private_key) != certificate.public_key():
        raise SettingsError(
            f"tls.private_key: {settings.private_key} is not the key of {settings.certificate}; "
            "that file has to begin with the node's own certificate"
        )
    _check_times(certificate, settings, now)
    authorities = _certificates(settings.authorities, "tls.authorities")
    if all(each.not_valid_after_utc < now for each in authorities):
        raise SettingsError(f"tls.authorities: all in {settings.authorities} are expired")
    return Credentials(settings.certificate, settings.private_key, settings.authorities)


def _check_times(certificate: x509.Certificate, settings: TLSSettings, now: datetime) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        raise SettingsError(
            f"tls.certificate: {settings.certificate} is valid from {begins:%Y-%m-%d %H:%M} UTC on;"
            " is this machine's clock right?"
        )
    if now > ends:
        raise SettingsError(
            f"tls.certificate: {settings.certificate} expired on {ends:%Y-%m-%d}; get a new one"
        )
    days = (ends - now).total_seconds() / SECONDS_OF_A_DAY
    if days < settings.warn_days_before_expiry:
        logger.warning("the TLS certificate expires on %s, in %d days", f"{ends:%Y-%m-%d}", days)


def _certificates(path: Path, setting: str) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content(path, setting))
    except ValueError as error:
        raise SettingsError(f"{setting}: {path} holds no certificate in PEM") from error


def _public_key(path: Path) -> PublicKeyTypes:
    """Read whose key a file holds.

    Raises
    ------
    SettingsError
        If it holds none that could be used without a passphrase, or if others may read it.
    """
    setting = "tls.private_key"
    content = _content(path, setting)
    if path.stat().st_mode & FOR_OTHERS:
        raise SettingsError(f"{setting}: {path} may be used by other users: chmod 600 {path}")
    try:
        return load_pem_private_key(content, password=None).public_key()
    except TypeError as error:
        raise SettingsError(f"{setting}: {path} has a passphrase; store it without") from error
    except ValueError as error:
        raise SettingsError(f"{setting}: {path} holds no private key in PEM") from error


def _content(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting}: {path} cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class TLSFacts:
    """What two sides agreed on, and whose certificate the other one showed.

    Attributes
    ----------
    version, cipher
        Of the connection.
    subject, issuer
        Common names of the certificate and of its authority; empty if it has none.
    not_after
        When the certificate expires.
    days_left
        Until then; negative if it has expired.
    """

    version: str
    cipher: str
    subject: str
    issuer: str
    not_after: datetime | None
    days_left: float | None


def facts_of(connection: object, *, now: datetime) -> TLSFacts | None:
    """Read what is known of a connection; None if it does not speak TLS, or is closed."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    cipher, encoded = connection.cipher(), connection.getpeercert(binary_form=True)
    if cipher is None:
        return None
    name, version, _ = cipher
    if encoded is None:
        return TLSFacts(version, name, "", "", None, None)
    certificate = x509.load_der_x509_certificate(encoded)
    ends = certificate.not_valid_after_utc
    return TLSFacts(
        connection.version() or version,
        name,
        _common_name(certificate.subject),
        _common_name(certificate.issuer),
        ends,
        round((ends - now).total_seconds() / SECONDS_OF_A_DAY, 1),
    )


def _common_name(name: x509.Name) -> str:
    return next((str(each.value) for each in name.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


PERMANENT_FAULTS = {
    9: "it is not valid yet",
    10: "it is expired",
    18: "it is signed by itself",
    19: "its authority is not among tls.authorities",
    20: "its authority is not among tls.authorities",
    21: "its authority is not among tls.authorities",
    62: "it is that of another host name",
    64: "it is that of another address",
}
"""What `ssl.SSLCertVerificationError.verify_code` says (OpenSSL, X509_V_ERR)."""
OURS_REFUSED = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
NOTHING_IN_COMMON = ("HANDSHAKE_FAILURE", "PROTOCOL_VERSION", "INSUFFICIENT_SECURITY")
NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def fault_of(error: OSError | None) -> str:
    """Say in words what about TLS will not change by itself; empty if the fault is another one.

    Parameters
    ----------
    error
        What ended a connection that the node opened.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        return f"its certificate is refused: {PERMANENT_FAULTS.get(code, f'OpenSSL code {code}')}"
    if not isinstance(error, ssl.SSLError) or not isinstance(error.reason, str):
        return ""
    if "ALERT" in error.reason:
        if any(word in error.reason for word in OURS_REFUSED):
            return "it refuses the certificate of this node (tls.certificate)"
        if any(word in error.reason for word in NOTHING_IN_COMMON):
            return "it has no TLS version or cipher in common with this node"
    if any(word in error.reason for word in NO_TLS):
        return "it does not speak TLS"
    return ""

"""``midline certs``: certificates for tests, so that TLS can be tried before a site has its own."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config.errors import UsageError
from node.cli.border import complain
from node.cli.output import write_table

CA = "ca"
VALID_DAYS = 90
"""Short: who still uses them then is to notice."""
EARLIER = timedelta(hours=1)
"""Clocks of test machines differ."""
HERE = ("localhost", "127.0.0.1")
WARNING = (
    "these certificates are for tests: the authority's key lies beside them, and whoever has it "
    "can pass for anybody"
)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key.

    Attributes
    ----------
    certificate
        The certificate.
    key
        Its private key.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def certs(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where they go.")],
    *,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Whom a certificate is for; repeat it for several. [default: node, peer]"
        ),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Host name or address of them all, beside localhost; may be repeated."),
    ] = None,
) -> None:
    """Make an authority for tests, and certificates of it for this node and its peers.

    An authority that a folder holds already is used; nothing is ever overwritten.
    """
    names = tuple(name or ("node", "peer"))
    _refuse_what_exists(folder, names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        authority = _authority(folder)
        made = [(each, issue(each, host or (), authority)) for each in names]
        for each, issued in made:
            _write(folder, each, issued)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror})") from error
    complain(f"WARNING: {WARNING}")
    write_table(
        f"Certificates in {folder}, valid for {VALID_DAYS} days",
        ("Name", "Certificate", "Key", "SHA-256"),
        [
            (
                each,
                _file(folder, each, ".pem").name,
                _file(folder, each, ".key").name,
                issued.certificate.fingerprint(hashes.SHA256()).hex(),
            )
            for each, issued in made
        ],
    )
    typer.echo(
        "\n".join(
            (
                "[tls]",
                f'certificate = "{_file(folder, names[0], ".pem")}"',
                f'private_key = "{_file(folder, names[0], ".key")}"',
                f'authorities = "{_file(folder, CA, ".pem")}"',
            )
        )
    )


def _file(folder: Path, name: str, suffix: str) -> Path:
    return folder / f"{name}{suffix}"


def _refuse_what_exists(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if name == CA or not name or not name.isascii() or not set(name) <= _NAME_CHARACTERS:
            raise UsageError(f"{name!r} is no name for a certificate: letters, digits, - and _")
        if names.count(name) > 1:
            raise UsageError(f"{name!r} is named twice")
        for suffix in (".pem", ".key"):
            if _file(folder, name, suffix).exists():
                raise UsageError(f"{_file(folder, name, suffix)} exists; nothing is overwritten")


_NAME_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def _authority(folder: Path) -> Issued:
    """Read the authority of a folder, or make one."""
    certificate, key = _file(folder, CA, ".pem"), _file(folder, CA, ".key")
    if not certificate.exists() and not key.exists():
        made = new_authority()
        _write(folder, CA, made)
        return made
    try:
        held = x509.load_pem_x509_certificate(certificate.read_bytes())
        of_key = load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{certificate} and {key} are no authority made by this command"
        ) from error
    if not isinstance(of_key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{key} is no key made by this command")
    return Issued(held, of_key)


def new_authority(*, now: datetime | None = None) -> Issued:
    """Make an authority that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject("Midline test authority - NOT FOR USE WITH PATIENTS")
    usage = _usage(signs_certificates=True)
    builder = (
        _builder(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return Issued(builder.sign(key, hashes.SHA256()), key)


def issue(
    name: str,
    hosts: Iterable[str],
    authority: Issued,
    *,
    here: Iterable[str] = HERE,
    now: datetime | None = None,
) -> Issued:
    """Make a certificate for client and server.

    Parameters
    ----------
    name
        Common name, and one of the DNS names: what an entity can be bound to.
    hosts
        Host names and addresses, beside those of this machine.
    authority
        That signs it.
    here
        Names of this machine.
    now
        Its validity begins an hour before; the clock's time if None.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_subject(name), authority.certificate.subject, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName(list(map(_general, dict.fromkeys((name, *here, *hosts))))),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    return Issued(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime | None
) -> x509.CertificateBuilder:
    begins = (datetime.now(UTC) if now is None else now) - EARLIER
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(folder: Path, name: str, issued: Issued) -> None:
    """Write certificate and key as new files; the key for this user alone, from the start."""
    key = issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = issued.certificate.public_bytes(Encoding.PEM)
    for suffix, content, mode in ((".key", key, 0o600), (".pem", certificate, 0o644)):
        path = _file(folder, name, suffix)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)

"""Certificates for tests: an authority, what it signed, and what must be refused."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.settings import TLSSettings
from node.cli.certs import Issued, issue, new_authority

NAMES = ("node", "ct1", "pacs")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Certificates:
    """A folder of certificates.

    ``node``, ``ct1`` and ``pacs`` come from one authority, ``stranger`` from another one,
    ``expired`` is over, and ``elsewhere`` is for another host than this machine.
    """

    folder: Path

    @property
    def authorities(self) -> Path:
        return self.folder / "ca.pem"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def tls(self, name: str = "node", **settings: object) -> TLSSettings:
        """Settings with one of the certificates."""
        files = {
            "certificate": self.certificate(name),
            "private_key": self.key(name),
            "authorities": self.authorities,
        }
        return TLSSettings.model_validate(files | settings)

    def sha256(self, name: str) -> str:
        from cryptography import x509

        certificate = x509.load_pem_x509_certificate(self.certificate(name).read_bytes())
        return certificate.fingerprint(hashes.SHA256()).hex()


def make_certificates(folder: Path) -> Certificates:
    """Make them all."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, other = new_authority(), new_authority()
    old = new_authority(now=LONG_AGO)
    made = {name: issue(name, (), authority) for name in NAMES}
    made |= {
        "ca": authority,
        "old-ca": old,
        "stranger": issue("stranger", (), other),
        "expired": issue("expired", (), authority, now=LONG_AGO),
        "future": issue("future", (), authority, now=datetime.now(UTC) + timedelta(days=400)),
        "elsewhere": issue("elsewhere", (), authority, here=()),
    }
    for name, issued in made.items():
        write(folder, name, issued)
    return Certificates(folder)


def write(folder: Path, name: str, issued: Issued) -> None:
    """Write certificate and key as PEM."""
    key = folder / f"{name}.key"
    key.touch(mode=0o600)
    key.write_bytes(issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / f"{name}.pem").write_bytes(issued.certificate.public_bytes(Encoding.PEM))

"""Certificates are judged before the port opens; each fault is one line that says what to do."""

import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from config.errors import SettingsError
from config.settings import TLSSettings
from node.tls import client_context, fault_of, server_context
from tests.support.certificates import Certificates, make_certificates

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_contexts_follow_bcp_195(made: Certificates) -> None:
    for context in (server_context(made.tls(), now=NOW), client_context(made.tls(), now=NOW)):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        old = [c["name"] for c in context.get_ciphers() if c["protocol"] != "TLSv1.3"]
        assert old
        assert all(name.startswith("ECDHE-") and "-GCM-" in name for name in old)
    assert client_context(made.tls(), now=NOW).check_hostname
    newest = server_context(made.tls(minimum_version="1.3"), now=NOW)
    assert newest.minimum_version == ssl.TLSVersion.TLSv1_3


def others_may_read(folder: Path, made: Certificates) -> TLSSettings:
    key = folder / "open.key"
    key.write_bytes(made.key("node").read_bytes())
    key.chmod(0o640)
    return made.tls(private_key=key)


def encrypted(folder: Path, made: Certificates) -> TLSSettings:
    key = load_pem_private_key(made.key("node").read_bytes(), password=None)
    file = folder / "encrypted.key"
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    return made.tls(private_key=file)


def no_pem(folder: Path, made: Certificates) -> TLSSettings:
    (folder / "text").write_text("not a certificate")
    return made.tls(certificate=folder / "text")


def no_key(folder: Path, made: Certificates) -> TLSSettings:
    return made.tls(private_key=made.key("ca").with_suffix(".missing"))


def a_certificate_for_a_key(folder: Path, made: Certificates) -> TLSSettings:
    file = folder / "swapped.key"
    file.touch(mode=0o600)
    file.write_bytes(made.certificate("node").read_bytes())
    return made.tls(private_key=file)


FAULTS: dict[str, Callable[[Path, Certificates], TLSSettings]] = {
    "may be used by other users: chmod 600": others_may_read,
    "has a passphrase; store it without": encrypted,
    "text holds no certificate in PEM": no_pem,
    "ca.missing cannot be read": no_key,
    "swapped.key holds no private key in PEM": a_certificate_for_a_key,
    "is not the key of": lambda _, made: made.tls(private_key=made.key("ct1")),
    "expired on 2020-": lambda _, made: made.tls("expired"),
    "this machine's clock": lambda _, made: made.tls("future"),
    "all in .*old-ca.pem are expired": lambda _, made: made.tls(
        authorities=made.folder / "old-ca.pem"
    ),
    "are needed to speak TLS": lambda _, __: TLSSettings(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_unusable_files_are_one_line(fault: str, tmp_path: Path, made: Certificates) -> None:
    settings = FAULTS[fault](tmp_path, made)
    for context in (server_context, client_context):
        with pytest.raises(SettingsError, match=fault) as caught:
            context(settings, now=NOW)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("tls")


def test_a_certificate_that_expires_soon_is_told(
    made: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        server_context(made.tls(), now=NOW)
        assert not caplog.records
        server_context(made.tls(), now=NOW + timedelta(days=80))
    assert "in 9 days" in caplog.text


def test_what_will_not_change_by_itself_is_told_apart() -> None:
    def alert(reason: str) -> ssl.SSLError:
        error = ssl.SSLError()
        error.reason = reason
        return error

    assert "certificate of this node" in fault_of(alert("TLSV1_ALERT_UNKNOWN_CA"))
    assert "certificate of this node" in fault_of(alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"))
    assert "in common" in fault_of(alert("TLSV1_ALERT_PROTOCOL_VERSION"))
    assert "does not speak TLS" in fault_of(alert("WRONG_VERSION_NUMBER"))
    assert fault_of(alert("UNEXPECTED_EOF_WHILE_READING")) == ""
    assert fault_of(ConnectionResetError()) == fault_of(TimeoutError()) == fault_of(None) == ""

"""``midline certs``: certificates that TLS takes, keys for one user, and nothing overwritten."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from config.settings import TLSSettings
from node.cli import app
from node.tls import client_context, server_context
from tests.support.ct_series import head_series, stack, write
from tests.support.listening import listening
from tests.unit.node.cli.conftest import Run

IMAGES = head_series(stack(range(0, 10, 5), size=16, pixel_mm=14.0))


def test_what_is_made_serves_both_directions(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    done = run("certs", str(folder), "--name", "node", "--name", "ct7", "--host", "10.0.0.7")
    assert done.exit_code == 0
    assert "for tests" in done.stderr
    for name in ("node", "ct7"):
        settings = TLSSettings(
            certificate=folder / f"{name}.pem",
            private_key=folder / f"{name}.key",
            authorities=folder / "ca.pem",
        )
        for context in (server_context, client_context):
            context(settings, now=datetime.now(UTC))
    certificate = x509.load_pem_x509_certificate((folder / "ct7.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ct7", "localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "10.0.0.7"]


def test_keys_are_for_this_user_alone(run: Run, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert run("certs", str(tmp_path)).exit_code == 0
    finally:
        os.umask(before)
    keys = sorted(tmp_path.glob("*.key"))
    assert [key.name for key in keys] == ["ca.key", "node.key", "peer.key"]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


def test_nothing_is_overwritten_and_an_authority_is_used_again(run: Run, tmp_path: Path) -> None:
    assert run("certs", str(tmp_path)).exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = run("certs", str(tmp_path), "--name", "late", "--name", "peer")
    assert done.exit_code == 2
    assert "peer.pem exists; nothing is overwritten" in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run("certs", str(tmp_path), "--name", "late").exit_code == 0
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    late = x509.load_pem_x509_certificate((tmp_path / "late.pem").read_bytes())
    late.verify_directly_issued_by(authority)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (("../x",), "is no name for a certificate"),
        (("ca",), "is no name for a certificate"),
        (("",), "is no name for a certificate"),
        (("a", "a"), "is named twice"),
    ],
)
def test_names_are_file_names_of_their_own(
    run: Run, tmp_path: Path, names: tuple[str, ...], fault: str
) -> None:
    options = [word for name in names for word in ("--name", name)]
    done = run("certs", str(tmp_path / "certs"), *options)
    assert done.exit_code == 2
    assert fault in done.stderr
    assert not (tmp_path / "certs").exists()


def test_a_foreign_authority_is_not_used(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("mine")
    done = run("certs", str(tmp_path))
    assert done.exit_code == 2
    assert "are no authority made by this command" in done.stderr
    assert not list(tmp_path.glob("*.key"))


def test_what_certs_makes_echo_and_send_use(tmp_path: Path) -> None:
    """The commands as a person types them, one after the other."""

    def midline(*words: object, config: Path | None = None) -> Result:
        before = () if config is None else ("--config", str(config))
        return CliRunner().invoke(app, [*before, *map(str, words)], prog_name="midline")

    certificates = tmp_path / "certs"
    assert midline("certs", certificates, "--name", "node", "--name", "ct1").exit_code == 0
    config = tmp_path / "ct1.toml"
    files = {"certificate": "ct1.pem", "private_key": "ct1.key", "authorities": "ca.pem"}
    lines = [f"{key} = {str(certificates / file)!r}" for key, file in files.items()]
    config.write_text("\n".join(["[tls]", *lines]) + "\n")
    write(IMAGES, tmp_path / "images")
    tls = TLSSettings.model_validate(
        {key: certificates / file.replace("ct1", "node") for key, file in files.items()}
    )
    senders = ({"ae_title": "CT1", "certificate_names": ["ct1"]},)
    with listening(tmp_path, node={"tls": True}, tls=tls, senders=senders) as node:
        peer, title = str(node.peer), ("--from", "CT1")
        assert midline("echo", peer, *title, "--tls", config=config).exit_code == 0
        to = ("--to", peer, *title)
        assert midline("send", tmp_path / "images", *to, "--tls", config=config).exit_code == 0
        assert len(node.kept()) == len(IMAGES)
        assert midline("echo", peer, *title, config=config).exit_code == 1
        without = midline("echo", peer, *title, "--tls")
    assert without.exit_code == 2
    assert "tls.certificate and its key are needed" in without.stderr

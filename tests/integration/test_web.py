"""Who a DICOMweb service is, and who we are to it: certificates, tokens, redirections."""

import logging
from pathlib import Path

import pytest

from node.sending import Parcel
from tests.integration.test_stow import DONE, send
from tests.integration.test_stow import parcels as parcels  # noqa: PLC0414 - the fixture
from tests.support.certificates import Certificates, make_certificates
from tests.support.web_archive import Reply, running_web_archive

BEARER = "eyJhbGciOiJub25lIn0.c2VjcmV0.-_~+/="


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_the_token_is_read_at_each_attempt_and_logged_at_none(
    parcels: list[Parcel], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "token"
    with running_web_archive() as archive:
        for token in ("old", BEARER):
            file.write_text(f"{token}\n")
            assert send(parcels[:1], archive.url, token_file=file).arrived == (1,)
    given = [request.headers["Authorization"] for request in archive.requests]
    assert given == ["Bearer old", f"Bearer {BEARER}"]
    assert BEARER not in caplog.text


def test_without_a_token_nothing_is_said_of_us(parcels: list[Parcel]) -> None:
    with running_web_archive() as archive:
        send(parcels, archive.url)
    assert "Authorization" not in archive.requests[0].headers


@pytest.mark.parametrize("content", [None, "", "two words", "line\r\nX-Evil: 1", "schön", "a=b"])
def test_a_token_that_is_none_is_held_and_not_told(
    parcels: list[Parcel], tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with running_web_archive() as archive:
        sent = send(parcels, archive.url, token_file=file)
        assert archive.requests == []
    assert sent.held
    assert sent.problem.startswith(f"token_file: {file} ")
    assert not content or content not in sent.problem


def test_a_redirection_is_not_followed(parcels: list[Parcel], tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(BEARER)
    with running_web_archive() as other:
        headers = {"Location": other.url + "/studies"}
        with running_web_archive(lambda _: Reply(307, headers=headers)) as archive:
            sent = send(parcels, archive.url, token_file=file)
        assert other.requests == []
    assert sent.held
    assert "HTTP 307" in sent.problem


def test_tls_with_an_authority_of_the_site(
    parcels: list[Parcel], certificates: Certificates
) -> None:
    with running_web_archive(certificates=(certificates, "pacs")) as archive:
        sent = send(parcels, archive.url, authorities=certificates.authorities)
    assert sent == DONE


@pytest.mark.parametrize("name", ["stranger", "expired", "elsewhere"])
def test_a_certificate_that_is_not_trusted_is_held_with_a_clear_line(
    parcels: list[Parcel], certificates: Certificates, name: str
) -> None:
    with running_web_archive(certificates=(certificates, name)) as archive:
        sent = send(parcels, archive.url, authorities=certificates.authorities)
        assert archive.requests == []
    assert sent.held
    assert "its certificate is refused: " in sent.problem
    assert "\n" not in sent.problem


def test_the_authorities_of_the_system_do_not_trust_the_sites_own(
    parcels: list[Parcel], certificates: Certificates
) -> None:
    with running_web_archive(certificates=(certificates, "pacs")) as archive:
        assert "its certificate is refused" in send(parcels, archive.url).problem


def test_tls_to_a_service_without_it_is_held(parcels: list[Parcel]) -> None:
    with running_web_archive() as archive:
        sent = send(parcels, archive.url.replace("http:", "https:"))
    assert sent.held
    assert "it does not speak TLS" in sent.problem


def test_authorities_that_cannot_be_read_are_held(parcels: list[Parcel], tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    for content in (None, b"", b"no certificate"):
        if content is not None:
            file.write_bytes(content)
        sent = send(parcels, "https://127.0.0.1:1/", authorities=file)
        assert sent.held
        assert sent.problem.startswith(f"authorities: {file} cannot be read")

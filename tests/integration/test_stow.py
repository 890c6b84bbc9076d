"""STOW-RS to a real HTTP server: what is sent, and what follows from each answer."""

import gzip
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from config.settings import WebDestinationSettings
from node.sending import Parcel, Sent
from node.stow import send_by_stow
from node.web import MOST_BYTES
from tests.support.pacs import free_port
from tests.support.parcels import PATIENT, written
from tests.support.web_archive import Answer, Reply, Request, failed, running_web_archive, stored

SEND_SECONDS = 10.0


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    """A mask and a report of one patient."""
    return [
        written(tmp_path, 1, "SEG", SegmentationStorage),
        written(tmp_path, 2, "SR", ComprehensiveSRStorage),
    ]


def send(
    parcels: list[Parcel], url: str, *, told: list[int] | None = None, **settings: object
) -> Sent:
    described = {"name": "web", "url": url, "timeout_seconds": SEND_SECONDS, **settings}
    destination = WebDestinationSettings.model_validate(described)

    def note(parcel: Parcel) -> None:
        if told is not None:
            told.append(parcel.delivery_id)

    return send_by_stow(parcels, destination, on_arrival=note)


def answering(status: int, payload: Callable[[Request], object] | None = None) -> Answer:
    return lambda request: Reply(status, None if payload is None else payload(request))


def refusing(status: int, reason: int | None) -> Answer:
    return answering(status, lambda request: failed(request, reason))


def test_each_object_arrives_in_order_with_the_bytes_of_its_file(parcels: list[Parcel]) -> None:
    told: list[int] = []
    with running_web_archive() as archive:
        sent = send(parcels, archive.url, told=told)
    assert sent == Sent(arrived=(1, 2))
    assert told == [1, 2]
    contents = [request.content for request in archive.requests]
    assert contents == [parcel.path.read_bytes() for parcel in parcels]


def test_no_name_number_or_uid_of_a_patient_is_in_what_servers_log(parcels: list[Parcel]) -> None:
    with running_web_archive() as archive:
        send(parcels, archive.url + "/")
    for request in archive.requests:
        assert (request.method, request.path) == ("POST", "/dicom-web/studies")
        assert not any(value in str(request.headers) for value in (*PATIENT, "2.25."))


DONE = Sent(arrived=(1, 2))


@pytest.mark.parametrize(
    ("answer", "means"),
    [
        (answering(200, stored), "done"),
        (answering(200), "done"),
        (answering(200, lambda _: b"<NativeDicomModel/>"), "done"),
        (answering(202, lambda r: stored(r, warning=0xB000)), "done"),
        (answering(202, lambda r: [stored(r, warning=0xB006)]), "done"),
        (answering(202), "retry"),
        (refusing(202, 0xA700), "retry"),
        (refusing(200, 0xA701), "retry"),
        (refusing(202, 0x0110), "retry"),
        (refusing(409, 0x0110), "retry"),
        (refusing(409, 0x0213), "retry"),
        (refusing(409, 0x0111), "done"),
        (refusing(202, 0x0111), "done"),
        (refusing(409, 0x0124), "hold"),
        (refusing(409, 0x0122), "class"),
        (refusing(202, 0xC122), "syntax"),
        (refusing(409, 0xA900), "object"),
        (refusing(202, 0xC000), "object"),
        (refusing(200, 0x0117), "object"),
        (refusing(409, 0x0000), "object"),
        (refusing(409, None), "object"),
        (answering(409), "object"),
        (answering(400), "object"),
        (answering(406), "object"),
        (answering(413), "object"),
        (answering(415), "object"),
        (answering(422), "object"),
        (answering(301), "hold"),
        (answering(302), "hold"),
        (answering(401), "hold"),
        (answering(403), "hold"),
        (answering(404), "hold"),
        (answering(405), "hold"),
        (answering(410), "hold"),
        (answering(501), "hold"),
        (answering(408), "retry"),
        (answering(429), "retry"),
        (answering(500), "retry"),
        (answering(502), "retry"),
        (answering(503), "retry"),
        (answering(504), "retry"),
        (answering(507), "retry"),
        (answering(204), "retry"),
        (answering(599), "retry"),
        (answering(0), "retry"),
    ],
)
def test_what_follows_from_an_answer(parcels: list[Parcel], answer: Answer, means: str) -> None:
    with running_web_archive(answer) as archive:
        sent = send(parcels, archive.url)
    if means == "done":
        assert sent == DONE
        return
    assert sent.arrived == ()
    assert len(archive.requests) == 1, "the first that is not taken ends the attempt"
    assert sent.retryable
    assert sent.held == (means == "hold")
    if means in ("retry", "hold"):
        assert sent.problem
        assert not sent.refused
        return
    (refused,) = sent.refused
    assert refused.parcel == parcels[0]
    assert refused.is_final == (means in ("class", "syntax"))
    uid = ExplicitVRLittleEndian if means == "syntax" else SegmentationStorage
    assert refused.uid == uid


def test_a_compressed_object_of_no_supported_media_type_is_to_be_sent_plain(tmp_path: Path) -> None:
    parcel = written(tmp_path, 1, "SEG", SegmentationStorage, syntax=JPEG2000Lossless)
    with running_web_archive(answering(415)) as archive:
        (refused,) = send([parcel], archive.url).refused
    assert (refused.uid, refused.is_final) == (JPEG2000Lossless, False)


def test_what_arrived_before_a_refusal_has_arrived(parcels: list[Parcel]) -> None:
    def no_reports(request: Request) -> Reply:
        is_report = request.dataset.SOPClassUID == ComprehensiveSRStorage
        return Reply(409, failed(request, 0x0122)) if is_report else Reply(200, stored(request))

    told: list[int] = []
    with running_web_archive(no_reports) as archive:
        sent = send(parcels, archive.url, told=told)
    assert sent.arrived == (1,)
    assert told == [1]
    assert sent.refused[0].uid == ComprehensiveSRStorage


def test_a_warning_is_told_in_the_log(
    parcels: list[Parcel], caplog: pytest.LogCaptureFixture
) -> None:
    with running_web_archive(answering(202, lambda r: stored(r, warning=0xB000))) as archive:
        send(parcels, archive.url)
    assert [r.levelno for r in caplog.records if "0xB000" in r.message] == [logging.WARNING] * 2


def test_an_object_that_is_too_large_may_be_refused_before_it_was_read(tmp_path: Path) -> None:
    parcel = written(tmp_path, 1, "OVERLAY", SecondaryCaptureImageStorage, num_bytes=1 << 23)
    with running_web_archive(answering(413), reads=False) as archive:
        sent = send([parcel], archive.url)
    # a server that hangs up at once may take its answer with it: then it is asked again
    assert sent.refused or "ended" in sent.problem
    assert sent.arrived == ()


SOON = timedelta(seconds=120)


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        (lambda: "120", SOON, SOON),
        (lambda: format_datetime(datetime.now(UTC) + SOON, usegmt=True), SOON / 2, SOON),
        (lambda: format_datetime(datetime.now(UTC) - SOON, usegmt=True), SOON * 0, SOON * 0),
        (lambda: "99999999999999999999", timedelta(hours=1), timedelta(hours=1)),
        (lambda: "Fri, 31 Dec 9999 23:59:59 GMT", timedelta(hours=1), timedelta(hours=1)),
        (lambda: "-5", SOON * 0, SOON * 0),
        (lambda: "soon", SOON * 0, SOON * 0),
        (lambda: "", SOON * 0, SOON * 0),
        (lambda: "²", SOON * 0, SOON * 0),
    ],
)
def test_a_service_is_left_alone_as_long_as_it_asks_within_reason(
    parcels: list[Parcel], retry_after: Callable[[], str], least: timedelta, most: timedelta
) -> None:
    def busy(_: Request) -> Reply:
        return Reply(503, headers={"Retry-After": retry_after()})

    with running_web_archive(busy) as archive:
        sent = send(parcels, archive.url)
    assert least <= sent.pause <= most


def test_nobody_there_is_worth_a_retry(parcels: list[Parcel]) -> None:
    url = f"http://127.0.0.1:{free_port()}/dicom-web"
    assert send(parcels, url) == Sent(problem=f"no connection with {url}")


def test_a_host_without_an_address_is_worth_a_retry(parcels: list[Parcel]) -> None:
    sent = send(parcels, "http://nowhere.invalid/dicom-web")
    assert (sent.retryable, sent.held) == (True, False)
    assert "no connection" in sent.problem


def test_a_silent_service_is_worth_a_retry(parcels: list[Parcel]) -> None:
    def silent(_: Request) -> Reply:
        time.sleep(1.0)
        return Reply(0)

    with running_web_archive(silent) as archive:
        sent = send(parcels, archive.url, timeout_seconds=0.2)
    assert "did not answer in time" in sent.problem
    assert (sent.retryable, sent.held) == (True, False)


def endless(chunk: bytes) -> Callable[[], Iterator[bytes]]:
    def chunks() -> Iterator[bytes]:
        while True:
            yield chunk
            if len(chunk) < 10:
                time.sleep(0.05)

    return chunks


@pytest.mark.parametrize("chunk", [b" ", b" " * 100_000], ids=["slow", "long"])
@pytest.mark.parametrize(("status", "arrives"), [(200, True), (202, False)])
def test_an_endless_answer_says_no_more_than_its_status(
    parcels: list[Parcel], chunk: bytes, status: int, arrives: bool
) -> None:
    with running_web_archive(lambda _: Reply(status, chunks=endless(chunk))) as archive:
        sent = send(parcels, archive.url, timeout_seconds=0.5)
    assert (sent == DONE) == arrives
    assert sent.retryable


def test_an_answer_is_read_up_to_a_limit(parcels: list[Parcel]) -> None:
    def padded(request: Request) -> Reply:
        text = json.dumps(failed(request, 0xC000)).encode()
        return Reply(409, text + b" " * (limit - len(text)))

    with running_web_archive(padded) as archive:
        limit = MOST_BYTES
        assert "reason 0xC000" in send(parcels, archive.url).refused[0].answer
        limit += 1
        assert "reason" not in send(parcels, archive.url).refused[0].answer


def test_a_compressed_answer_is_not_decompressed(parcels: list[Parcel]) -> None:
    def packed(request: Request) -> Reply:
        payload = gzip.compress(json.dumps(failed(request, 0xC000)).encode())
        return Reply(409, payload, headers={"Content-Encoding": "gzip"})

    with running_web_archive(packed) as archive:
        (refused,) = send(parcels, archive.url).refused
    assert "reason" not in refused.answer


def test_chunked_answers_are_read(parcels: list[Parcel]) -> None:
    def answer(request: Request) -> Reply:
        text = json.dumps(failed(request, 0xA700)).encode()
        return Reply(409, chunks=lambda: iter([text[:40], text[40:]]))

    with running_web_archive(answer) as archive:
        assert "0xA700" in send(parcels, archive.url).problem


def test_nothing_of_an_answer_is_quoted(
    parcels: list[Parcel], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "node")

    def talkative(request: Request) -> Reply:
        payload = failed(request, 0xC000)
        payload["00081198"]["Value"][0]["00100010"] = {"vr": "PN", "Value": ["SECRET^NAME"]}
        return Reply(409, payload, headers={"Warning": "299 SECRET^NAME"})

    with running_web_archive(talkative) as archive:
        sent = send(parcels, archive.url)
    assert sent.refused[0].answer.endswith("answered HTTP 409 Conflict, failure reason 0xC000")
    assert "SECRET" not in repr(sent) + caplog.text


def test_a_result_that_is_lost_is_not_tried_for_ever(parcels: list[Parcel]) -> None:
    parcels[0].path.write_bytes(b"overwritten")
    with running_web_archive() as archive:
        sent = send(parcels, archive.url)
        assert archive.requests == []
    assert not sent.retryable
    parcels[0].path.unlink()
    assert not send(parcels, archive.url).retryable


def test_a_connection_that_the_service_closed_is_opened_again(parcels: list[Parcel]) -> None:
    def closing(request: Request) -> Reply:
        return Reply(200, stored(request), headers={"Connection": "close"})

    with running_web_archive(closing) as archive:
        assert send(parcels, archive.url) == DONE

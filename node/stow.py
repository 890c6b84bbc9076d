"""One attempt to send objects to a DICOMweb service: STOW-RS, the Store Transaction of PS3.18 10.5.

Each object has a request of its own, so that each is marked when it has arrived, the report goes
last, and what is answered concerns one object. The bytes are those of the file. The resource is
``/studies`` without a Study Instance UID: the object says where it belongs, and nothing of a
patient gets into the logs of web servers and proxies.
"""

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from config.errors import MidlineError
from config.settings import WebDestinationSettings
from node.peers import PLAIN_SYNTAXES, StoreFile, read_store_file
from node.sending import Arrival, Parcel, Refused, Sent, stopped_at, stopped_by
from node.status import (
    SOP_CLASS_NOT_SUPPORTED,
    TRANSFER_SYNTAX_NOT_SUPPORTED,
    Verdict,
    verdict_of_failure,
    verdict_of_http,
)
from node.web import Answer, WebService, connected

logger = logging.getLogger(__name__)

STUDIES = "/studies"
_CHUNK_BYTES = 1 << 20

FAILED_SOP_SEQUENCE = "00081198"
OTHER_FAILURES_SEQUENCE = "0008119A"
REFERENCED_SOP_SEQUENCE = "00081199"
FAILURE_REASON = "00081197"
WARNING_REASON = "00081196"
REFERENCED_SOP_INSTANCE_UID = "00081155"


@dataclass(frozen=True)
class Response:
    """What the payload of an answer says of the one object (PS3.18 Annex I).

    Attributes
    ----------
    failed
        Whether it tells of a failure.
    failure_reason
        Failure Reason (0008,1197); None without one.
    stored
        Whether it names the object among those that were stored.
    warning_reason
        Warning Reason (0008,1196) of the stored object; None without one.
    """

    failed: bool
    failure_reason: int | None
    stored: bool
    warning_reason: int | None


def send_by_stow(
    parcels: Sequence[Parcel], destination: WebDestinationSettings, *, on_arrival: Arrival
) -> Sent:
    """Make one attempt over one connection.

    Parameters
    ----------
    parcels
        In the order of sending.
    """
    arrived: list[int] = []
    stopped: Sent | None = None
    try:
        files = [read_store_file(each.path) for each in parcels]
        with connected(destination) as service:
            for parcel, file in zip(parcels, files, strict=True):
                stopped = _stopped_by_answer(service, parcel, file)
                if stopped is not None:
                    break
                arrived.append(parcel.delivery_id)
                on_arrival(parcel)
    except MidlineError as error:
        stopped = stopped_by(error)
    return replace(stopped or Sent(), arrived=tuple(arrived))


def _stopped_by_answer(service: WebService, parcel: Parcel, file: StoreFile) -> Sent | None:
    """Store one object; what the attempt comes to if that is its end."""
    answer = _store(service, file.path)
    response = read_response(answer.json(), parcel.sop_instance_uid)
    refused = _refused(service, parcel, file, answer, response)
    stopped = stopped_at(refused, verdict_of_answer(answer, response), pause=answer.pause)
    if stopped is None and response.warning_reason is not None:
        logger.warning(
            "taken with a warning: %s: %s, 0x%04X", parcel.kind, service, response.warning_reason
        )
    return stopped


def _store(service: WebService, path: Path) -> Answer:
    """Send a file as the one part of a Store request (PS3.18 8.6.1.2.1, RFC 2387)."""
    boundary = uuid.uuid4().hex
    before = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    after = f"\r\n--{boundary}--\r\n".encode("ascii")

    def body() -> Iterator[bytes]:
        yield before
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
        yield after

    return service.post(
        STUDIES,
        body(),
        num_bytes=len(before) + path.stat().st_size + len(after),
        content_type=f'multipart/related; type="application/dicom"; boundary={boundary}',
    )


def read_response(payload: object, sop_instance_uid: str) -> Response:
    """Read what a service says of the object, in the DICOM JSON model (PS3.18 Annex F).

    Whatever is not of the expected form says nothing.
    """
    failures = [
        *_items(payload, FAILED_SOP_SEQUENCE),
        *_items(payload, OTHER_FAILURES_SEQUENCE),
    ]
    ours = [
        item
        for item in _items(payload, REFERENCED_SOP_SEQUENCE)
        if _value(item, REFERENCED_SOP_INSTANCE_UID) == sop_instance_uid
    ]
    return Response(
        failed=bool(failures),
        failure_reason=next((_number(item, FAILURE_REASON) for item in failures), None),
        stored=bool(ours),
        warning_reason=next((_number(item, WARNING_REASON) for item in ours), None),
    )


def verdict_of_answer(answer: Answer, response: Response) -> Verdict:
    """Tell what an answer means for the delivery of the object."""
    verdict = verdict_of_http(answer.status)
    if verdict is not None:
        return verdict
    if response.failed:
        reason = response.failure_reason
        return Verdict.DEAD if reason is None else verdict_of_failure(reason)
    if answer.status == 200 or response.stored:
        return Verdict.DONE
    # 202 tells of warnings or failures in its payload, 409 of failures
    return Verdict.RETRY if answer.status == 202 else Verdict.DEAD


def _refused(
    service: WebService, parcel: Parcel, file: StoreFile, answer: Answer, response: Response
) -> Refused:
    """Describe a refusal: of the class or the syntax if it says so, else of this object alone."""
    reason = response.failure_reason if verdict_of_http(answer.status) is None else None
    said = f"{service} answered {answer}"
    if reason is not None:
        said += f", failure reason 0x{reason:04X}"
    of_syntax = reason == TRANSFER_SYNTAX_NOT_SUPPORTED or (
        answer.status == 415 and file.transfer_syntax_uid not in PLAIN_SYNTAXES
    )
    return Refused(
        parcel,
        file.transfer_syntax_uid if of_syntax else file.sop_class_uid,
        is_final=reason in (SOP_CLASS_NOT_SUPPORTED, TRANSFER_SYNTAX_NOT_SUPPORTED),
        answer=said,
    )


def _items(dataset: object, tag: str) -> list[Mapping[str, object]]:
    """Items of a sequence; some services put the data set into a list of one."""
    if isinstance(dataset, list):
        dataset = dataset[0] if dataset else None
    values = _values(dataset, tag)
    return [item for item in values if isinstance(item, dict)]


def _values(dataset: object, tag: str) -> list[object]:
    element = dataset.get(tag) if isinstance(dataset, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _value(item: Mapping[str, object], tag: str) -> object:
    return next(iter(_values(item, tag)), None)


def _number(item: Mapping[str, object], tag: str) -> int | None:
    """Value of VR US; None if there is none."""
    value = _value(item, tag)
    return value if isinstance(value, int) and 0 <= value <= 0xFFFF else None

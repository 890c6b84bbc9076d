"""A DICOMweb service that keeps what it is sent by STOW-RS, and can be told to misbehave."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.support.certificates import Certificates


@dataclass(frozen=True)
class Request:
    """What came: a request, and the object in it."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def dataset(self) -> Dataset:
        return dcmread(BytesIO(self.content))


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Attributes
    ----------
    status
        HTTP status code; 0 closes the connection without a word.
    payload
        As DICOM JSON, or as bytes; None is an empty answer.
    headers
        Beside those of the payload.
    chunks
        The payload in chunks, of which the next is made when the last one has been written.
    """

    status: int = 200
    payload: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Callable[[], Iterator[bytes]] | None = None


@dataclass
class WebArchive:
    """A running service: where it is, what came, and what it kept."""

    url: str
    requests: list[Request] = field(default_factory=list)
    received: list[Dataset] = field(default_factory=list)


def stored(request: Request, *, warning: int | None = None) -> dict[str, Any]:
    """Describe a stored object (PS3.18 Annex I)."""
    item = _reference(request)
    if warning is not None:
        item["00081196"] = {"vr": "US", "Value": [warning]}
    return {"00081199": {"vr": "SQ", "Value": [item]}}


def failed(request: Request, reason: int | None) -> dict[str, Any]:
    """Describe an object that was not stored (PS3.18 Annex I)."""
    item = _reference(request)
    if reason is not None:
        item["00081197"] = {"vr": "US", "Value": [reason]}
    return {"00081198": {"vr": "SQ", "Value": [item]}}


def _reference(request: Request) -> dict[str, Any]:
    ds = request.dataset
    return {
        "00081150": {"vr": "UI", "Value": [str(ds.SOPClassUID)]},
        "00081155": {"vr": "UI", "Value": [str(ds.SOPInstanceUID)]},
    }


def _everything_is_stored(request: Request) -> Reply:
    return Reply(200, stored(request) if request.method == "POST" else [])


Answer = Callable[[Request], Reply]


@contextmanager
def running_web_archive(
    answer: Answer = _everything_is_stored,
    *,
    port: int = 0,
    reads: bool = True,
    certificates: tuple[Certificates, str] | None = None,
) -> Iterator[WebArchive]:
    """Run a service on loopback.

    Parameters
    ----------
    answer
        What a request is answered; an object is kept if that is 200 or 202.
    port
        0 takes a free one.
    reads
        Whether it reads what it is sent before it answers; if not, it hangs up afterwards.
    certificates
        With them it speaks TLS, with the one of this name.
    """
    server = _Server(port, answer, reads=reads)
    if certificates is not None:
        server.speak_tls(*certificates)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, answer: Answer, *, reads: bool) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer, self.reads = answer, reads
        self.archive = WebArchive(f"http://127.0.0.1:{self.server_port}/dicom-web")

    def speak_tls(self, certificates: Certificates, name: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate(name), certificates.key(name))
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.archive.url = self.archive.url.replace("http:", "https:")

    def handle_error(self, request: object, client_address: object) -> None:
        """Take it that a client may hang up, as the node does on whoever is too slow."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_POST(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        content, archive = b"", self.server.archive
        if self.server.reads and self.command == "POST":
            length = int(self.headers["Content-Length"])
            content = only_part(self.headers["Content-Type"], self.rfile.read(length))
        request = Request(self.command, self.path, dict(self.headers), content)
        archive.requests.append(request)
        reply = self.server.answer(request)
        if content and reply.status in (200, 202):
            archive.received.append(request.dataset)
        self.close_connection = not reply.status or not self.server.reads
        if reply.status:
            self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        if "Date" in reply.headers:  # else the library says the time
            self.send_response_only(reply.status)
        else:
            self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunks is not None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in reply.chunks():
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
            return
        given = b"" if reply.payload is None else reply.payload
        payload = given if isinstance(given, bytes) else json.dumps(given).encode()
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def only_part(content_type: str, body: bytes) -> bytes:
    """Take the one part out of a multipart/related payload (RFC 2046 5.1.1), strictly."""
    kind, *parameters = (each.strip() for each in content_type.split(";"))
    given = dict(each.split("=", 1) for each in parameters)
    assert kind == "multipart/related"
    assert given["type"] == '"application/dicom"'
    boundary = given["boundary"].strip('"').encode()
    begin, end = b"--" + boundary + b"\r\n", b"\r\n--" + boundary + b"--\r\n"
    assert body.startswith(begin)
    assert body.endswith(end)
    assert body.count(b"--" + boundary) == 2
    header, content = body[len(begin) : -len(end)].split(b"\r\n\r\n", 1)
    assert header.lower() == b"content-type: application/dicom"
    return content

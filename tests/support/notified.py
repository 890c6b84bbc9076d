"""Those who are told of reports: a web server and an HL7 receiver that may misbehave."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

SECRET = base64.b64encode(bytes(range(32))).decode()


@dataclass(frozen=True)
class Post:
    """What came to a web server."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_signed(self) -> bool:
        """Whether the signature is the one that Standard Webhooks prescribes."""
        key = base64.b64decode(SECRET)
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode()
        digest = hmac.new(key, signed + self.body, hashlib.sha256).digest()
        return self.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


@dataclass
class Hook:
    """A running web server, and what came; ``answer`` gives a status, 0 hangs up."""

    url: str
    posts: list[Post] = field(default_factory=list)


@contextmanager
def running_hook(answer: Callable[[int], int] = lambda _: 204, *, port: int = 0) -> Iterator[Hook]:
    """Run a web server.

    Parameters
    ----------
    answer
        Status for the message of this number, from 1; 0 ends the connection without a word.
    """
    hook = Hook("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook.posts.append(Post(self.path, headers, body))
            status = answer(len(hook.posts))
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    hook.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/midline"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class HL7System:
    """A running receiver of HL7 v2, by hl7apy, and what came."""

    port: int
    messages: list[Any] = field(default_factory=list)


@contextmanager
def running_hl7_system(answer: Callable[[int], str] = lambda _: "AA") -> Iterator[HL7System]:
    """Run a receiver.

    Parameters
    ----------
    answer
        MSA-1 for the message of this number, from 1; empty hangs up.
    """
    system = HL7System(0)

    def reply(self: Any) -> str:
        message = parse_message(self.incoming_message, find_groups=True)
        system.messages.append(message)
        said = answer(len(system.messages))
        control_id = message.msh.msh_10.to_er7()
        header = f"MSH|^~\\&|RIS||MIDLINE||20300101||ACK^R01|{control_id}A|P|2.5.1"
        body = f"{header}\rMSA|{said}|{control_id}\r" if said else ""
        return f"\x0b{body}\x1c\r"

    handler = type("Handler", (AbstractHandler,), {"reply": reply})
    server: Any = MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (handler,)})
    system.port = server.socket.getsockname()[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield system
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

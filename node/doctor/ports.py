"""The ports of the node: free, or held by the node itself."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from config.settings import Settings
from node.doctor.findings import Ailment, Check, Finding, Level

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTENING = "0A"
"""State of a socket in these tables (TCP_LISTEN)."""
OURS = ("node.cli", "midline", "run_node.py")

TAKEN = Ailment(
    "ports.taken",
    Level.FAULT,
    "port {port} ({setting}) is held by {holder}",
    "end that program, or choose another {setting}: ss -ltnp shows who listens",
)
DENIED = Ailment(
    "ports.denied",
    Level.FAULT,
    "port {port} ({setting}) may not be opened by this user",
    "choose a {setting} from 1024 on, or give the service CAP_NET_BIND_SERVICE",
)
ELSEWHERE = Ailment(
    "ports.elsewhere",
    Level.FAULT,
    "{host} is no address of this machine",
    "set the host beside {setting} to an address that ip addr shows, or to 0.0.0.0",
)


def look(settings: Settings) -> Iterator[Finding]:
    """Try to open each port for a moment."""
    wanted = [("node.port", settings.node.host, settings.node.port)]
    if settings.page.enabled:
        wanted.append(("page.port", settings.page.host, settings.page.port))
    for setting, host, port in wanted:
        yield _look_at(setting, host, port)


def _look_at(setting: str, host: str, port: int) -> Finding:
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            # with this option two may bind to a port; only one may listen
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EACCES:
            return DENIED.found(setting=setting, port=port)
        if error.errno != errno.EADDRINUSE:
            return ELSEWHERE.found(setting=setting, host=host)
        holder = holder_of(port)
        if holder != "midline":
            return TAKEN.found(setting=setting, port=port, holder=holder)
        return CHECK.well(f"{setting}: port {port} is held by the node itself")
    return CHECK.well(f"{setting}: port {port} is free" if port else f"{setting}: any free port")


def holder_of(port: int) -> str:
    """Name the program that listens on a port: ``midline``, another, or one that is not seen."""
    inodes = {f"socket:[{inode}]" for table in TABLES for inode in _listening(Path(table), port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = {str(each.readlink()) for each in (process / "fd").iterdir()}
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # another user's, or gone by now
        if links & inodes:
            names = [Path(word).name for word in words[:3]]
            return "midline" if any(name in OURS for name in names) else names[0]
    return "a program of another user"


def _listening(table: Path, port: int) -> Iterator[str]:
    """Read the sockets that listen on a port (proc(5)); their inodes."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


CHECK = Check(
    "ports",
    "The ports that the node listens on: free, or its own already.",
    (TAKEN, DENIED, ELSEWHERE),
    look,
)

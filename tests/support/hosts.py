"""Several hosts of one node on this machine: with a network of their own, or by name alone.

A network is made of namespaces (iproute2), one for each host, joined by a bridge; this process is
on the bridge, too. A cut takes a host's end off the bridge: it notices nothing but silence.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from node.peers import Peer
from tests.support.ledger import LEDGER, SECONDS
from tests.support.service import write_settings
from tests.support.waiting import eventually

NET = "10.213.77"
PORT = 11112
ROLES = ("listen", "analyse", "deliver")


def run(*words: object, **options: Any) -> str:
    """Run a program that has to succeed; what it printed."""
    line = list(map(str, words))
    return subprocess.run(line, check=True, capture_output=True, text=True, **options).stdout


@dataclass
class Network:
    """Hosts on one bridge.

    Attributes
    ----------
    prefix
        Begins the names of everything that is made.
    """

    prefix: str
    names: list[str] = field(default_factory=list)

    @property
    def own_address(self) -> str:
        """Address of this process."""
        return f"{NET}.1"

    def address(self, name: str) -> str:
        """Address of a host."""
        return f"{NET}.{10 + self.names.index(name)}"

    def inside(self, name: str) -> list[str]:
        """Begin of a command line that runs in a host."""
        return ["ip", "netns", "exec", self.prefix + name]

    def add(self, name: str) -> None:
        """Add a host."""
        self.names.append(name)
        space, end = self.prefix + name, f"{self.prefix}{name}e"
        run("ip", "netns", "add", space)
        run("ip", "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", space)
        self.mend(name)
        run("ip", "link", "set", end, "up")
        run(*self.inside(name), "ip", "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            run(*self.inside(name), "ip", "link", "set", device, "up")

    def cut(self, name: str) -> None:
        """Take a host off the network: what it sends is lost, and nobody says so."""
        run("ip", "link", "set", f"{self.prefix}{name}e", "nomaster")

    def mend(self, name: str) -> None:
        """Put a host on the network again."""
        run("ip", "link", "set", f"{self.prefix}{name}e", "master", f"{self.prefix}br")


@contextmanager
def network(names: Sequence[str]) -> Iterator[Network]:
    """Make a network of hosts, where that is allowed; else the test is skipped."""
    if shutil.which("ip") is None:
        pytest.skip("ip of iproute2 is not installed")
    made = Network(f"ml{os.getpid() % 100_000}")
    bridge = f"{made.prefix}br"
    try:
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "addr", "add", f"{made.own_address}/24", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        for name in names:
            made.add(name)
    except subprocess.CalledProcessError as error:
        _remove(made)
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.strip()}")
    try:
        yield made
    finally:
        _remove(made)


def _remove(made: Network) -> None:
    for name in made.names:
        subprocess.run(["ip", "netns", "del", made.prefix + name], capture_output=True, check=False)
        end = f"{made.prefix}{name}e"
        subprocess.run(["ip", "link", "del", end], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", f"{made.prefix}br"], capture_output=True, check=False)


@dataclass
class Host:
    """One host: its supervisor, and the roles that this has started."""

    name: str
    config: Path
    peer: Peer
    prefix: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What its processes log."""
        return self.config.with_name("host.log")

    def start(self) -> None:
        """Start it; its roles come when they come."""
        program = [sys.executable, "-m", "tests.support.host"]
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [*self.prefix, *program, self.name, str(self.config), "serve"],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def pids(self) -> dict[int, str]:
        """Process numbers of its roles."""
        assert self.process is not None
        pid, found = self.process.pid, {}
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for child in map(int, children):
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
                found[child] = next((word for word in words if word in ROLES), "?")
        except FileNotFoundError:
            pass
        return found

    def kill(self, role: str) -> None:
        """Kill a process of a role as soon as there is one; its supervisor starts it again."""
        pids = eventually(lambda: [p for p, r in self.pids().items() if r == role], seconds=60)
        os.kill(pids[0], signal.SIGKILL)

    def die(self) -> float:
        """Kill every process at once, as a loss of power does; when it was done."""
        assert self.process is not None
        pids = [self.process.pid, *self.pids()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        return time.monotonic()

    def terminate(self) -> None:
        """Ask it to end, as a service manager does."""
        assert self.process is not None
        self.process.terminate()

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        assert self.process is not None
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            for pid in self.pids():  # whoever holds it up says in the log where it stands
                os.kill(pid, signal.SIGUSR1)
            return self.process.wait(50)


@dataclass
class Site:
    """Hosts with one database and one store.

    Attributes
    ----------
    folder
        Has the notes of all hosts, and how long an analysis is to take.
    url
        Of the database.
    hosts
        By name.
    network
        If they have one.
    """

    folder: Path
    url: str
    hosts: dict[str, Host]
    network: Network | None = None

    def set_seconds(self, seconds: float) -> None:
        """Say how long an analysis is to take."""
        part = self.folder / f"{SECONDS}.part"
        part.write_text(str(seconds))
        part.replace(self.folder / SECONDS)


def make_site(
    folder: Path,
    url: str,
    names: Sequence[str],
    destination: Peer,
    *,
    net: Network | None = None,
    **tables: dict[str, Any],
) -> Site:
    """Write the settings of hosts that share a database and a store.

    Parameters
    ----------
    names
        Of the hosts.
    destination
        Gets the results.
    net
        Has these hosts; without it they differ in their names alone.
    **tables
        Further settings.
    """
    (folder / LEDGER).mkdir(parents=True, exist_ok=True)
    site = Site(folder, url, {}, net)
    site.set_seconds(0.3)
    storage: dict[str, Any] = {"folder": str(folder / "data")}
    if not url.startswith("sqlite"):
        storage["database_url"] = url
    for name in names:
        (folder / name).mkdir()
        node: dict[str, Any] = {}
        if net is not None:
            node = {"host": net.address(name), "port": PORT, "plain_off_loopback": True}
            node["allowed_calling_ae_titles"] = ["CT1"]
        config, peer = write_settings(
            folder / name, destination, **{"node": node, "storage": storage, **tables}
        )
        prefix = [] if net is None else net.inside(name)
        if net is not None:
            peer = Peer(peer.ae_title, net.address(name), PORT)
        site.hosts[name] = Host(name, config, peer, prefix)
    return site


class Postgres:
    """A PostgreSQL cluster in a host of a network, that can be stopped and started again."""

    def __init__(self, net: Network, name: str, folder: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        if not found:
            pytest.skip("PostgreSQL is not installed; `peers install --all` does it")
        self._bin, self._net, self._name, self._data = found[-1], net, name, folder / "data"
        shutil.chown(folder, "postgres")
        self._as_user("initdb", "-D", self._data, "-U", "midline", "-A", "trust", "-E", "UTF8")
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {NET}.0/24 trust\n")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = '{net.address(name)}'\nunix_socket_directories = ''\n"
                "max_connections = 200\n"
            )

    @property
    def url(self) -> str:
        """URL for SQLAlchemy."""
        return f"postgresql+psycopg://midline@{self._net.address(self._name)}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._data.with_name("log")
        self._as_user("pg_ctl", "-D", self._data, "-l", log, "-w", "-s", "start")

    def stop(self) -> None:
        """Stop it as a crash does."""
        self._as_user("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "-s", "stop")

    def _as_user(self, program: str, *words: object) -> None:
        inside = [*self._net.inside(self._name), "runuser", "-u", "postgres", "--"]
        # the server keeps what it inherits: no pipe, or who reads it waits for ever
        subprocess.run(
            list(map(str, [*inside, self._bin / program, *words])),
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

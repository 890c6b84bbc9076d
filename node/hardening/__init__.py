"""Holes of pynetdicom 3.0.4 that this node closes before it talks to anybody.

==================================================  =============================================
As shipped                                          Here
==================================================  =============================================
the announced length of a PDU is believed           `bounds.check_length`, by kind of PDU
an A-ASSOCIATE-RQ may hold any number of items      `bounds.check_negotiation`
a data set, a command set may grow without end      `bounds.Arrival`, while they arrive
requests are queued faster than they are answered   `HardSocket.ready`: read when there is time
a read or write waits for ever for a peer           `HardSocket`: one deadline for each PDU
small PDUs keep an association alive for ever       `bounds.Arrival`: a message has a slowest rate
a TLS handshake is made by the loop that accepts    `HardServer`: in the connection's own thread
connections count after A-ASSOCIATE-RQ only         `HardServer`: when they are accepted
half-open connections count as associations         `node.admission.Admissions`
a fault ends a thread and leaves its connection     `HardProvider`, `HardAssociation`
a connection that ended waits for the ACSE time     `HardProvider`: its association is told at once
a refused connection leaves its socket open         `HardSocket.connect`
a quick rejection is taken for a lost connection    `HardSocket._is_connected`
open associations hold up the end of the process    `HardServer.shutdown` waits for answers alone
threads look at queues and sockets every ms         `HardProvider`: sleeps until there is something
each image goes through two threads and six copies  `HardProvider`: one thread, one copy
==================================================  =============================================

pynetdicom is neither copied nor changed on the disk: its classes are derived from, and `install`
puts these in their places.
"""

import pynetdicom.ae
import pynetdicom.association
from pynetdicom import _config, transport

from node.hardening.associations import HardAssociation
from node.hardening.bounds import SECONDS_FOR_A_PDU, SMALLEST_LIMIT_BYTES, Limits
from node.hardening.entity import HardAE
from node.hardening.provider import DirectStore, HardProvider
from node.hardening.server import Breach, ConnectionLimits, HardServer, serve
from node.hardening.sockets import HardSocket

__all__ = [
    "SECONDS_FOR_A_PDU",
    "SMALLEST_LIMIT_BYTES",
    "Breach",
    "ConnectionLimits",
    "DirectStore",
    "HardAE",
    "HardAssociation",
    "HardServer",
    "HardSocket",
    "Limits",
    "install",
    "serve",
]


def install() -> None:
    """Put the hardened parts in place; before the first association, in both directions."""
    transport.AssociationSocket = HardSocket  # type: ignore[misc]
    pynetdicom.ae.AssociationSocket = HardSocket  # type: ignore[attr-defined]
    pynetdicom.association.DULServiceProvider = HardProvider  # type: ignore[attr-defined]
    # the listening side looks it up in its module, the calling side in its own
    pynetdicom.association.Association = HardAssociation  # type: ignore[misc]
    pynetdicom.ae.Association = HardAssociation  # type: ignore[attr-defined]
    # both are on by default, and write identifiers of patients to the log
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False

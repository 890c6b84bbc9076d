"""The process that receives: an application entity, and the sweep that completes studies."""

import functools
import logging
import threading
from datetime import UTC, datetime

from pynetdicom import evt
from pynetdicom.events import EventHandlerType

from config.errors import SettingsError
from config.settings import NodeSettings, Settings
from ml.readers.pixels import supported_transfer_syntaxes
from node import hardening
from node.admission import Admissions, AETable
from node.associations import OpenAssociations
from node.caller import caller_of
from node.commitment.answers import Answers, handle_report
from node.commitment.granting import Grantor, handle_action
from node.commitment.messages import STORAGE_COMMITMENT
from node.completion import Completer
from node.custody import Stores
from node.fetching import Inquirer
from node.handlers import (
    Receiver,
    handle_echo,
    handle_end,
    handle_request,
    tell_of_breach,
)
from node.hardening import ConnectionLimits, HardAE, HardServer, Limits, serve
from node.peers import PLAIN_SYNTAXES, VERIFICATION
from node.tls import server_context

logger = logging.getLogger(__name__)

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_CONVERTED_ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.2"
ACCEPTED_CLASSES = (CT_IMAGE, ENHANCED_CT_IMAGE, LEGACY_CONVERTED_ENHANCED_CT_IMAGE)
"""Every other class is rejected at its presentation context, as a PACS expects (PS3.8 9.3.3.2)."""


def application_entity(settings: NodeSettings, *, commits: bool = False) -> HardAE:
    """Make the application entity that receives CT; who may call it is in `node.admission`.

    Parameters
    ----------
    commits
        Whether senders may ask for storage commitment; destinations may report on it in any case.
    """
    limits = Limits(
        data_set_bytes=settings.max_instance_bytes,
        message_seconds=settings.network_timeout_seconds,
    )
    ae = HardAE(settings.ae_title, limits)
    ae.maximum_pdu_size = settings.max_pdu_bytes
    # counted by `node.admission`: to pynetdicom a connection that says nothing is one too
    ae.maximum_associations = settings.max_connections + settings.max_associations
    ae.acse_timeout = settings.acse_timeout_seconds
    ae.dimse_timeout = settings.dimse_timeout_seconds
    ae.network_timeout = settings.network_timeout_seconds
    ae.add_supported_context(VERIFICATION)
    for sop_class_uid in ACCEPTED_CLASSES:
        ae.add_supported_context(sop_class_uid, list(supported_transfer_syntaxes()))
    # roles are the caller's: who reports is the provider, who asks the user (PS3.4 J.2)
    ae.add_supported_context(
        STORAGE_COMMITMENT, list(PLAIN_SYNTAXES), scu_role=commits, scp_role=True
    )
    return ae


def receiver_of(settings: Settings, stores: Stores, associations: OpenAssociations) -> Receiver:
    """Put together who answers C-STORE requests."""
    node = settings.node
    table = AETable.of(settings)
    admissions = Admissions(table, ae_title=node.ae_title, most=node.max_associations)
    return Receiver(stores, associations, admissions)


def handlers_for(settings: Settings, receiver: Receiver) -> list[EventHandlerType]:
    """Bind the answers of `node.handlers` to what happens on associations."""
    stores, associations = receiver.stores, receiver.associations
    admissions = receiver.admissions
    database, files, queues = stores.database, stores.files, stores.queues
    grantor = Grantor(database, files, queues, settings)
    return [
        (evt.EVT_REQUESTED, handle_request, [admissions, associations, stores.audit]),
        (evt.EVT_C_ECHO, handle_echo),
        (evt.EVT_C_STORE, receiver.handle),
        (evt.EVT_N_EVENT_REPORT, handle_report, [Answers(database, queues, settings)]),
        (evt.EVT_N_ACTION, handle_action, [grantor, admissions, ACCEPTED_CLASSES]),
        (evt.EVT_RELEASED, handle_end, [stores, associations]),
        (evt.EVT_ABORTED, handle_end, [stores, associations]),
    ]


def start_server(
    settings: Settings, stores: Stores, associations: OpenAssociations | None = None
) -> HardServer:
    """Start to receive, in threads of this process; `shutdown` of what is returned ends it.

    Parameters
    ----------
    associations
        Where to note who calls and who ends, for who completes studies.

    Raises
    ------
    SettingsError
        If the port cannot be opened, or certificates cannot be used.
    """
    hardening.install()
    node, tls = settings.node, settings.tls
    receiver = receiver_of(settings, stores, associations or OpenAssociations())
    context = server_context(tls, now=datetime.now(UTC)) if node.tls else None
    limits = ConnectionLimits(
        in_all=node.max_connections,
        per_address=node.max_connections_per_address,
        handshake_seconds=tls.handshake_timeout_seconds,
    )
    try:
        return serve(
            application_entity(node, commits=settings.commitment.offered),
            (node.host, node.port),
            handlers_for(settings, receiver),
            store=receiver,
            limits=limits,
            tls=context,
            alarm=functools.partial(tell_of_breach, stores.audit),
        )
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {node.host}:{node.port} (node.host, node.port): {error.strerror}"
        ) from error


def listen(settings: Settings, stores: Stores, stop: threading.Event) -> None:
    """Receive and complete studies until stopped."""
    associations = OpenAssociations()
    with stores.database.begin() as transaction:
        transaction.arrivals.interrupt_open()
    inquirer = Inquirer(
        stores, settings, caller_of(settings), associations, image_classes=ACCEPTED_CLASSES
    )
    completer = Completer(
        stores.database,
        stores.queues,
        settings.completion,
        associations,
        inquirer,
        audit=stores.audit,
    )
    server = start_server(settings, stores, associations)
    logger.info("listening as %s on port %d", settings.node.ae_title, server.server_address[1])
    try:
        completer.run_until(stop)
    finally:
        server.shutdown()
        inquirer.close()

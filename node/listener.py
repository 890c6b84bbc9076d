"""The process that receives: an application entity, and the sweep that completes studies."""

import logging
import threading

from pynetdicom import AE, evt
from pynetdicom.events import EventHandlerType
from pynetdicom.transport import ThreadedAssociationServer

from config.errors import SettingsError
from config.settings import NodeSettings, Settings
from ml.readers.pixels import supported_transfer_syntaxes
from node import hardening
from node.completion import sweep_until
from node.custody import Stores
from node.handlers import OpenAssociations, handle_echo, handle_end, handle_store
from node.peers import VERIFICATION

logger = logging.getLogger(__name__)

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_CONVERTED_ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.2"
ACCEPTED_CLASSES = (CT_IMAGE, ENHANCED_CT_IMAGE, LEGACY_CONVERTED_ENHANCED_CT_IMAGE)
"""Every other class is rejected at its presentation context, as a PACS expects (PS3.8 9.3.3.2)."""


def application_entity(settings: NodeSettings) -> AE:
    """Make the application entity that receives CT."""
    ae = AE(ae_title=settings.ae_title)
    ae.require_called_aet = True
    ae.require_calling_aet = list(settings.allowed_calling_ae_titles)
    ae.maximum_pdu_size = settings.max_pdu_bytes
    ae.maximum_associations = settings.max_associations
    ae.acse_timeout = settings.acse_timeout_seconds
    ae.dimse_timeout = settings.dimse_timeout_seconds
    ae.network_timeout = settings.network_timeout_seconds
    ae.add_supported_context(VERIFICATION)
    for sop_class_uid in ACCEPTED_CLASSES:
        ae.add_supported_context(sop_class_uid, list(supported_transfer_syntaxes()))
    return ae


def start_server(settings: NodeSettings, stores: Stores) -> ThreadedAssociationServer:
    """Start to receive, in threads of this process; `shutdown` of what is returned ends it.

    Raises
    ------
    SettingsError
        If the port cannot be opened.
    """
    hardening.install()
    associations = OpenAssociations()
    handlers: list[EventHandlerType] = [
        (evt.EVT_C_ECHO, handle_echo),
        (evt.EVT_C_STORE, handle_store, [stores, associations]),
        (evt.EVT_RELEASED, handle_end, [stores, associations]),
        (evt.EVT_ABORTED, handle_end, [stores, associations]),
        (evt.EVT_CONN_CLOSE, handle_end, [stores, associations]),
    ]
    try:
        server = application_entity(settings).start_server(
            (settings.host, settings.port), block=False, evt_handlers=handlers
        )
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port} (node.host, node.port): "
            f"{error.strerror}"
        ) from error
    assert isinstance(server, ThreadedAssociationServer)  # noqa: S101 - block=False returns it
    return server


def listen(settings: Settings, stores: Stores, stop: threading.Event) -> None:
    """Receive and complete studies until stopped."""
    server = start_server(settings.node, stores)
    logger.info("listening as %s on port %d", settings.node.ae_title, server.server_address[1])
    try:
        sweep_until(stop, stores.database, stores.queues, settings.completion)
    finally:
        server.shutdown()

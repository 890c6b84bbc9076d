"""The process that receives: an application entity, and the sweep that completes studies."""

import functools
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

from pynetdicom import evt
from pynetdicom.events import Event, EventHandlerType

from config.errors import SettingsError
from config.settings import NodeSettings, Settings
from ml.readers.pixels import supported_transfer_syntaxes
from node import hardening, readiness
from node.admission import Admissions, AETable
from node.associations import OpenAssociations
from node.caller import caller_of
from node.commitment.answers import Answers, handle_report
from node.commitment.granting import Grantor, handle_action
from node.commitment.messages import STORAGE_COMMITMENT
from node.completion import Completer, priorities_of
from node.custody import Stores
from node.engine import new_executor_id, present
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
from node.reloading import Source, reloading
from node.tls import renew_context, server_context

logger = logging.getLogger(__name__)

ROLE = "listen"

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


class Desk:
    """Whoever answers callers, as the settings say at the moment.

    Attributes
    ----------
    receiver
        Answers C-STORE requests, and knows who may call.
    grantor, answers
        Speak of storage commitment, with senders and with destinations.
    tls
        Context for callers; None on a plain port.
    """

    def __init__(
        self, settings: Settings, stores: Stores, associations: OpenAssociations | None = None
    ) -> None:
        self._stores = stores
        node = settings.node
        admissions = Admissions(
            AETable.of(settings), ae_title=node.ae_title, most=node.max_associations
        )
        self.receiver = Receiver(stores, associations or OpenAssociations(), admissions)
        self.tls = server_context(settings.tls, now=datetime.now(UTC)) if node.tls else None
        self._speak_of_commitment(settings)

    def renew(self, settings: Settings) -> None:
        """Go by other settings from now on; associations that are open stay open.

        Raises
        ------
        SettingsError
            If they cannot be used; then all stays as it was.
        """
        table = AETable.of(settings)
        if self.tls is not None:
            renew_context(self.tls, settings.tls, now=datetime.now(UTC))
        self.receiver.admissions.renew(table)
        self._speak_of_commitment(settings)

    def _speak_of_commitment(self, settings: Settings) -> None:
        stores = self._stores
        self.grantor = Grantor(stores.database, stores.files, stores.queues, settings)
        self.answers = Answers(stores.database, stores.queues, settings)


def handlers_for(desk: Desk) -> list[EventHandlerType]:
    """Bind the answers of `node.handlers` to what happens on associations."""
    receiver = desk.receiver
    stores, associations = receiver.stores, receiver.associations
    admissions = receiver.admissions

    def answer_report(event: Event) -> tuple[int, None]:
        return handle_report(event, desk.answers)

    def answer_action(event: Event) -> tuple[int, None]:
        return handle_action(event, desk.grantor, admissions, ACCEPTED_CLASSES)

    return [
        (evt.EVT_REQUESTED, handle_request, [admissions, associations, stores]),
        (evt.EVT_C_ECHO, handle_echo),
        (evt.EVT_C_STORE, receiver.handle),
        (evt.EVT_N_EVENT_REPORT, answer_report),
        (evt.EVT_N_ACTION, answer_action),
        (evt.EVT_RELEASED, handle_end, [stores, associations]),
        (evt.EVT_ABORTED, handle_end, [stores, associations]),
    ]


def start_server(settings: Settings, stores: Stores, desk: Desk | None = None) -> HardServer:
    """Start to receive, in threads of this process; `shutdown` of what is returned ends it.

    Parameters
    ----------
    desk
        Who answers; one of these settings if None.

    Raises
    ------
    SettingsError
        If the port cannot be opened, or certificates cannot be used.
    """
    hardening.install()
    node, tls = settings.node, settings.tls
    desk = desk or Desk(settings, stores)
    limits = ConnectionLimits(
        in_all=node.max_connections,
        per_address=node.max_connections_per_address,
        handshake_seconds=tls.handshake_timeout_seconds,
    )
    try:
        return serve(
            application_entity(node, commits=settings.commitment.offered),
            (node.host, node.port),
            handlers_for(desk),
            store=desk.receiver,
            limits=limits,
            tls=desk.tls,
            alarm=functools.partial(tell_of_breach, stores.audit),
            shared=node.listeners > 1,
        )
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {node.host}:{node.port} (node.host, node.port): {error.strerror}"
        ) from error


def listen(
    settings: Settings, stores: Stores, stop: threading.Event, source: Source | None = None
) -> None:
    """Receive and complete studies until stopped.

    Parameters
    ----------
    source
        Where other settings come from while it runs.
    """
    associations = OpenAssociations(new_executor_id(ROLE))
    inquirer = Inquirer(
        stores, settings, caller_of(settings), associations, image_classes=ACCEPTED_CLASSES
    )
    completer = Completer(
        stores.database,
        stores.queues,
        settings.completion,
        associations,
        inquirer,
        priorities=priorities_of(settings),
        audit=stores.audit,
    )
    desk = Desk(settings, stores, associations)

    def renew(new: Settings) -> None:
        caller = caller_of(new)
        desk.renew(new)
        inquirer.renew(new, caller)
        completer.renew(new.completion, priorities_of(new))

    with (
        # before the first association: without it, others take its associations for lost
        present(stores.database, associations.listener, role=ROLE, settings=settings.liveness),
        closing(inquirer),
        _serving(settings, stores, desk),
        reloading(source or Source(), settings, renew),
    ):
        completer.run_until(stop)


@contextmanager
def _serving(settings: Settings, stores: Stores, desk: Desk) -> Iterator[None]:
    server = start_server(settings, stores, desk)
    logger.info("listening as %s on port %d", settings.node.ae_title, server.server_address[1])
    readiness.tell(readiness.READY)
    try:
        yield
    finally:
        server.shutdown()

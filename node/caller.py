"""As whom the node calls its peers: what the settings say of it, put together once."""

from datetime import UTC, datetime

from config.settings import Settings
from node.peers import Caller, Timeouts
from node.tls import client_context


def caller_of(settings: Settings) -> Caller:
    """As whom the node calls its peers, how patiently, and with which certificate.

    Raises
    ------
    SettingsError
        If there are certificates that cannot be used.
    """
    delivery = settings.delivery
    tls = settings.tls
    return Caller(
        ae_title=settings.node.ae_title,
        timeouts=Timeouts(
            connection_seconds=delivery.connection_timeout_seconds,
            acse_seconds=delivery.acse_timeout_seconds,
            dimse_seconds=delivery.dimse_timeout_seconds,
            network_seconds=delivery.network_timeout_seconds,
        ),
        tls=client_context(tls, now=datetime.now(UTC)) if tls.is_set else None,
    )

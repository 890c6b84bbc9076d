"""As whom the node calls its peers: what the settings say of it, put together once."""

from config.settings import Settings
from node.peers import Caller, Timeouts


def caller_of(settings: Settings) -> Caller:
    """As whom the node calls its peers, and how patiently."""
    delivery = settings.delivery
    return Caller(
        ae_title=settings.node.ae_title,
        timeouts=Timeouts(
            connection_seconds=delivery.connection_timeout_seconds,
            acse_seconds=delivery.acse_timeout_seconds,
            dimse_seconds=delivery.dimse_timeout_seconds,
            network_seconds=delivery.network_timeout_seconds,
        ),
    )

"""Settings of a node with one destination, whichever kind it is."""

from config.settings import (
    DeliverySettings,
    DestinationSettings,
    Settings,
    WebDestinationSettings,
)
from node.peers import Peer


def settings_for(
    receiver: Peer | str, *, delivery: DeliverySettings | None = None, **described: object
) -> Settings:
    """Send to a peer, or to a DICOMweb service at a URL, as ``pacs``.

    Parameters
    ----------
    **described
        Forms, and whatever else a destination may have.
    """
    how = DeliverySettings() if delivery is None else delivery
    if isinstance(receiver, str):
        web = {"name": "pacs", "url": receiver, **described}
        return Settings(
            delivery=how, web_destinations=(WebDestinationSettings.model_validate(web),)
        )
    where = {"ae_title": receiver.ae_title, "host": receiver.host, "port": receiver.port}
    pacs = DestinationSettings.model_validate({"name": "pacs", **where, **described})
    return Settings(delivery=how, destinations=(pacs,))

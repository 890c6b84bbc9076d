"""Servers to attack, each in a process of its own: pynetdicom as it ships, and the node's listener.

::

    python -m benchmarks.victims shipped|node FOLDER CERTIFICATES|-

The port is written to ``FOLDER/port``. Both take CT images by C-STORE and keep them below
``FOLDER/kept``, both answer C-ECHO, and both have the same time-outs.
"""

import sys
import threading
from pathlib import Path

from pynetdicom import AE, evt
from pynetdicom.events import Event

AE_TITLE = "VICTIM"
ACSE_SECONDS, NETWORK_SECONDS = 5.0, 10.0
LARGEST_BYTES = 64 << 20
"""Largest image that the node takes here; the default is 512 MiB, and images have less than one."""
MOST_ASSOCIATIONS = 20
VERIFICATION, CT_IMAGE = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99")


def shipped(folder: Path, certificates: Path | None) -> int:
    """Start a storage SCP as the examples of pynetdicom's documentation have it; its port."""

    def store(event: Event) -> int:
        ds = event.dataset
        ds.file_meta = event.file_meta
        ds.save_as(folder / "kept" / f"{ds.file_meta.MediaStorageSOPInstanceUID}")
        return 0x0000

    context = None
    if certificates is not None:
        import ssl  # noqa: PLC0415 - of this victim alone

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "node.pem", certificates / "node.key")
        context.load_verify_locations(certificates / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    ae = AE(ae_title=AE_TITLE)
    ae.acse_timeout, ae.network_timeout = ACSE_SECONDS, NETWORK_SECONDS
    ae.maximum_associations = MOST_ASSOCIATIONS
    ae.add_supported_context(VERIFICATION)
    ae.add_supported_context(CT_IMAGE, list(SYNTAXES))
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_ECHO, lambda _: 0x0000), (evt.EVT_C_STORE, store)],
        ssl_context=context,
    )
    return int(server.server_address[1])


def node(folder: Path, certificates: Path | None) -> int:
    """Start the node's listener; its port."""
    from config import log  # noqa: PLC0415 - the other victim shall not have loaded it
    from config.settings import NodeSettings, Settings, TLSSettings  # noqa: PLC0415
    from node.custody import Stores  # noqa: PLC0415
    from node.engine import Queues, migrate  # noqa: PLC0415
    from node.listener import start_server  # noqa: PLC0415
    from storage.database import Database  # noqa: PLC0415
    from storage.files import FileStore  # noqa: PLC0415

    log.configure("WARNING")
    tls = TLSSettings()
    if certificates is not None:
        tls = TLSSettings(
            certificate=certificates / "node.pem",
            private_key=certificates / "node.key",
            authorities=certificates / "ca.pem",
        )
    settings = Settings(
        node=NodeSettings(
            ae_title=AE_TITLE,
            port=0,
            tls=certificates is not None,
            acse_timeout_seconds=ACSE_SECONDS,
            network_timeout_seconds=NETWORK_SECONDS,
            max_associations=MOST_ASSOCIATIONS,
            max_instance_bytes=LARGEST_BYTES,
        ),
        tls=tls,
    )
    database = Database(f"sqlite:///{folder / 'index.sqlite'}")
    database.upgrade()
    migrate(database)
    stores = Stores(
        database=database,
        files=FileStore(folder / "kept", reserve_bytes=0),
        queues=Queues(database.engine),
        max_instance_bytes=LARGEST_BYTES,
    )
    return int(start_server(settings, stores).server_address[1])


VICTIMS = {"shipped": shipped, "node": node}


def main() -> None:
    """Serve until killed."""
    name, folder, certificates = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    (folder / "kept").mkdir()
    port = VICTIMS[name](folder, None if certificates == "-" else Path(certificates))
    (folder / "port").write_text(str(port))
    threading.Event().wait()


if __name__ == "__main__":
    main()

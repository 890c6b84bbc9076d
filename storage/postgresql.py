"""Connections to PostgreSQL: few, soon noticed when they are cut, and holding no lock for long.

By default a connection that is cut waits a quarter of an hour for an answer, and the server keeps
the locks of whoever vanished for two hours. Here both sides find out well before a silent worker
counts as dead (`config.settings.LivenessSettings`), so that its work can be taken over then.
"""

from collections.abc import Mapping

import sqlalchemy as sa

KEPT_CONNECTIONS = 5
"""Connections that a process keeps open once it needed them."""
MOST_CONNECTIONS = 20
"""Connections of one process at the same time; who needs another one waits."""
PATIENCE_SECONDS = 10.0
"""Longest wait for one of them."""
CLIENT: Mapping[str, int] = {
    # a sender waits meanwhile: for its association and for each image, see `node.handlers`
    "connect_timeout": 3,
    # what was sent is to be acknowledged, in ms; also of the probes below
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
"""When this side gives a connection up, in seconds unless said otherwise."""
SERVER: Mapping[str, int | str] = {
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 3,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": "15s",
    # whoever was stopped in mid-transaction must not hold its locks until it wakes
    "idle_in_transaction_session_timeout": "15s",
}
"""When the server gives it up, in seconds unless said otherwise."""
WITHOUT_LIMIT = sa.text("SET LOCAL idle_in_transaction_session_timeout = 0")
"""For a transaction that only reads, and holds up nobody: people take their time."""


def create_engine(url: sa.URL) -> sa.Engine:
    """Make an engine; what the site's URL says of its connections goes before what is here."""
    options = " ".join(f"-c {name}={value}" for name, value in SERVER.items())
    ours = {**CLIENT, "options": options}
    return sa.create_engine(
        url,
        connect_args={name: value for name, value in ours.items() if name not in url.query},
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS,
        pool_timeout=PATIENCE_SECONDS,
        pool_pre_ping=True,
    )

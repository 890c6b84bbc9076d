"""Which roles take no new work is kept until somebody takes the wish back."""

from datetime import timedelta

from storage.database import Database
from storage.records import DrainRecord
from tests.support.received import NOW


def test_a_role_is_drained_once_and_until_it_is_resumed(database: Database) -> None:
    with database.begin() as transaction:
        assert transaction.drains.begin("deliver", now=NOW)
        assert not transaction.drains.begin("deliver", now=NOW + timedelta(hours=1))
        assert transaction.drains.begin("analyse", now=NOW)
    with database.read() as transaction:
        assert transaction.drains.list() == (
            DrainRecord("analyse", NOW),
            DrainRecord("deliver", NOW),
        )
    with database.begin() as transaction:
        assert transaction.drains.end("deliver")
        assert not transaction.drains.end("deliver")
        assert [drain.role for drain in transaction.drains.list()] == ["analyse"]

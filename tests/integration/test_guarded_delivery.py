"""What the guard stops never reaches the PACS, and the trail tells what did."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.audit.codes import Event, Outcome
from node.audit.messages import Message
from node.delivery import Courier
from node.peers import Peer
from storage.records import DeliveryState
from tests.integration.test_delivery import CALLER, Site
from tests.support.destinations import settings_for
from tests.support.pacs import Pacs, free_port, running_pacs


class Told:
    """A site whose audit trail is a list."""

    def __init__(self, folder: Path, peer: Peer) -> None:
        self.site = Site(folder, settings_for(peer, commitment="NONE"))
        self.messages: list[Message] = []
        place = replace(self.site.place, audit=self.messages.append)
        self.courier = Courier(place, self.site.settings, CALLER)

    def send(self) -> None:
        self.courier.send(self.site.job_id, "pacs", 1)

    def told(self) -> list[tuple[Event, Outcome, int]]:
        return [(m.event, m.outcome, m.objects[0].num_instances) for m in self.messages]


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    with running_pacs() as pacs:
        yield pacs


@pytest.fixture
def there(tmp_path: Path, pacs: Pacs) -> Iterator[Told]:
    told = Told(tmp_path, pacs.peer)
    yield told
    told.site.close()


def test_what_is_sent_is_told_before_and_after(there: Told, pacs: Pacs) -> None:
    there.send()
    assert len(pacs.received) == 2
    assert there.told() == [
        (Event.BEGIN_TRANSFERRING, Outcome.SUCCESS, 2),
        (Event.INSTANCES_TRANSFERRED, Outcome.SUCCESS, 2),
    ]
    receiver = there.messages[0].participants[1]
    assert (receiver.ae_title, receiver.address) == ("PACS", "127.0.0.1")
    there.send()
    assert len(there.messages) == 2


def test_what_arrived_and_what_did_not_are_told_apart(tmp_path: Path) -> None:
    with running_pacs(answer=lambda ds: 0xA900 if ds.Modality == "SR" else 0) as pacs:
        there = Told(tmp_path, pacs.peer)
        there.send()
        there.site.close()
    assert there.told()[1:] == [
        (Event.INSTANCES_TRANSFERRED, Outcome.SUCCESS, 1),
        (Event.INSTANCES_TRANSFERRED, Outcome.MINOR_FAILURE, 1),
    ]
    assert "0xA900" in there.messages[2].description


def test_a_pacs_that_is_away_is_told_with_its_reason(tmp_path: Path) -> None:
    there = Told(tmp_path, Peer("PACS", "127.0.0.1", free_port()))
    there.send()
    there.site.close()
    assert there.told()[1] == (Event.INSTANCES_TRANSFERRED, Outcome.MINOR_FAILURE, 2)
    assert "no association with PACS" in there.messages[1].description


def test_results_of_another_patient_are_dead_with_an_alarm_and_stay_so(
    there: Told, pacs: Pacs, caplog: pytest.LogCaptureFixture
) -> None:
    with there.site.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE study SET patient_key = 'h1:of another patient'"))
    there.send()
    assert there.site.states() == [DeliveryState.DEAD, DeliveryState.DEAD]
    assert "stopped by the cross-patient guard" in (there.site.deliveries()[0].last_error or "")
    assert there.told() == [(Event.SECURITY_ALERT, Outcome.SERIOUS_FAILURE, 0)]
    assert there.messages[0].objects[1].number == 1
    assert "CRITICAL" in caplog.text
    with there.site.database.begin() as transaction:
        transaction.results.reopen(now=datetime.now(UTC), job_id=there.site.job_id)
    there.send()
    assert there.site.states() == [DeliveryState.DEAD, DeliveryState.DEAD]
    assert pacs.received == []

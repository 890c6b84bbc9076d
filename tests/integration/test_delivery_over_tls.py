"""Results over TLS: they arrive, or are held until somebody mends the certificates."""

from pathlib import Path

import pytest

from config.settings import Settings
from node.caller import caller_of
from node.delivery import HELD, Courier
from node.peers import Peer
from storage.records import DeliveryState
from tests.integration.test_delivery import Site
from tests.support.certificates import Certificates, make_certificates
from tests.support.destinations import settings_for
from tests.support.pacs import running_pacs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def sent(folder: Path, peer: Peer, made: Certificates) -> Site:
    """Make one attempt to send the results of a job."""
    plain = settings_for(peer)
    destinations = tuple(each.model_copy(update={"tls": True}) for each in plain.destinations)
    settings = Settings(tls=made.tls(), destinations=destinations)
    site = Site(folder, settings)
    site.courier = Courier(site.place, settings, caller_of(settings))
    site.send()
    return site


def test_results_arrive_over_tls(tmp_path: Path, made: Certificates) -> None:
    with running_pacs(certificates=(made, "pacs")) as pacs:
        site = sent(tmp_path, pacs.peer, made)
        assert [ds.Modality for ds in pacs.received] == ["SEG", "SR"]
    assert site.states() == [DeliveryState.SENT] * 2
    site.close()


def test_a_certificate_that_is_refused_holds_the_results(
    tmp_path: Path, made: Certificates
) -> None:
    with running_pacs(certificates=(made, "stranger")) as pacs:
        site = sent(tmp_path, pacs.peer, made)
        assert pacs.received == []
    assert site.states() == [DeliveryState.PENDING] * 2
    for delivery in site.deliveries():
        assert delivery.last_error is not None
        assert delivery.last_error.startswith(f"{HELD}: no TLS connection with PACS@")
        assert "its authority is not among tls.authorities" in delivery.last_error
    site.close()

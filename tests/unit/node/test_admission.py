"""Who may call: an AE title alone opens nothing that is bound to an address or a certificate."""

from ipaddress import ip_address

import pytest

from config.errors import SettingsError
from config.settings import DestinationSettings, NodeSettings, SenderSettings, Settings
from node.admission import AETable, Calling, PeerCertificate

DIGEST = "0" * 63 + "1"
CERTIFICATE = PeerCertificate(frozenset({"ct1", "localhost"}), DIGEST)
PACS = DestinationSettings(name="pacs", ae_title="PACS", host="10.0.0.9", port=104)


def sender(**fields: object) -> SenderSettings:
    return SenderSettings.model_validate({"ae_title": "CT1"} | fields)


def table(*senders: SenderSettings, titles: tuple[str, ...] = (), tls: bool = True) -> AETable:
    return AETable.of(
        Settings.model_construct(
            node=NodeSettings(allowed_calling_ae_titles=titles, tls=tls),
            senders=senders,
            destinations=(PACS,),
        )
    )


def calling(
    ae_title: str = "CT1", address: str = "10.1.2.3", certificate: PeerCertificate | None = None
) -> Calling:
    return Calling(ae_title, ip_address(address), certificate)


@pytest.mark.parametrize(
    ("bound", "caller", "is_known"),
    [
        ({}, calling(), True),
        ({}, calling("CT2"), False),
        ({}, calling("ct1"), False),
        ({"addresses": ["10.1.2.0/24"]}, calling(), True),
        ({"addresses": ["10.1.3.0/24", "10.1.2.3/32"]}, calling(), True),
        ({"addresses": ["10.1.2.0/24"]}, calling(address="10.1.3.3"), False),
        ({"addresses": ["fd00::/8"]}, calling(), False),
        ({"addresses": ["fd00::/8"]}, calling(address="fd00::1"), True),
        ({"certificate_names": ["CT1"]}, calling(certificate=CERTIFICATE), True),
        ({"certificate_names": ["ct2"]}, calling(certificate=CERTIFICATE), False),
        ({"certificate_names": ["ct1"]}, calling(), False),
        ({"certificates_sha256": [DIGEST]}, calling(certificate=CERTIFICATE), True),
        ({"certificates_sha256": ["2" * 64]}, calling(certificate=CERTIFICATE), False),
        ({"certificates_sha256": [DIGEST]}, calling(), False),
        (
            {"certificate_names": ["ct1"], "certificates_sha256": ["2" * 64]},
            calling(certificate=CERTIFICATE),
            False,
        ),
    ],
)
def test_a_sender_is_known_by_all_that_it_is_bound_to(
    bound: dict[str, object], caller: Calling, is_known: bool
) -> None:
    found = table(sender(**bound)).find(caller)
    assert (found is not None) == is_known


def test_one_title_may_stand_for_several_machines() -> None:
    first, second = (sender(addresses=[f"10.1.2.{n}/32"], may_store=n == 3) for n in (3, 4))
    two = table(first, second)
    assert two.find(calling()).may_store  # type: ignore[union-attr]
    assert not two.find(calling(address="10.1.2.4")).may_store  # type: ignore[union-attr]
    assert two.find(calling(address="10.1.2.5")) is None


def test_a_binding_goes_before_the_plain_list_of_titles() -> None:
    both = table(sender(addresses=["10.1.2.3/32"]), titles=("CT1", "CT2"))
    assert both.find(calling(address="10.9.9.9")) is None
    assert both.find(calling("CT2", "10.9.9.9")).may_store  # type: ignore[union-attr]


def test_a_destination_may_call_and_not_store_unless_it_is_a_sender_too() -> None:
    pacs = table(sender()).find(calling("PACS"))
    assert pacs is not None
    assert pacs.is_destination
    assert not pacs.may_store
    both = table(sender(ae_title="PACS", addresses=["10.0.0.9/32"]))
    assert both.find(calling("PACS")) is None
    known = both.find(calling("PACS", "10.0.0.9"))
    assert known is not None
    assert known.may_store
    assert known.is_destination


def test_without_any_list_everybody_may_store() -> None:
    found = table().find(calling("ANYBODY"))
    assert found is not None
    assert found.may_store
    assert not found.is_destination
    assert table().find(calling("PACS")).is_destination  # type: ignore[union-attr]


def test_a_certificate_is_asked_for_only_where_one_is_shown() -> None:
    with pytest.raises(SettingsError, match="'CT1' is known by its certificate"):
        table(sender(certificate_names=["ct1"]), tls=False)

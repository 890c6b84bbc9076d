"""What an association of pynetdicom is kept from."""

import threading

from pynetdicom.association import MODE_REQUESTOR
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from node.hardening import HardAE
from node.hardening.associations import HardAssociation


def test_a_report_that_is_served_beside_its_thread_holds_up_no_release() -> None:
    association = HardAssociation(HardAE("MIDLINE"), MODE_REQUESTOR)
    association._reactor_checkpoint.clear()  # somebody waits for the pause, to release
    served = threading.Thread(target=association._serve_request, args=(N_EVENT_REPORT(), 1))
    served.start()
    served.join()
    assert association._is_paused
    assert not association.is_busy

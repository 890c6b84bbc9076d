"""What an association of pynetdicom is kept from."""

import threading

import pytest
from pynetdicom.association import MODE_ACCEPTOR, MODE_REQUESTOR
from pynetdicom.dimse_primitives import C_STORE, N_EVENT_REPORT

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


@pytest.mark.parametrize("mode", [MODE_REQUESTOR, MODE_ACCEPTOR])
def test_a_response_is_left_to_whoever_asked_for_the_pause_in_the_last_moment(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    association = HardAssociation(HardAE("MIDLINE"), mode)
    checkpoint = association._reactor_checkpoint
    wait = checkpoint.wait
    rounds = []

    def ask_after_the_wait(timeout: float | None = None) -> bool:
        """Be somebody who sends a request just then, and takes the thread for paused."""
        rounds.append(len(rounds))
        passed = wait(timeout)
        assert association._is_paused
        if len(rounds) == 1:
            checkpoint.clear()
            association.dimse.msg_queue.put((1, C_STORE()))
            monkeypatch.setattr(checkpoint, "wait", end)
        return passed

    def end(timeout: float | None = None) -> bool:
        """Let the loop end where it would wait."""
        association._kill = True
        return True

    monkeypatch.setattr(checkpoint, "wait", ask_after_the_wait)
    association._run_reactor()
    assert association.dimse.msg_queue.qsize() == 1

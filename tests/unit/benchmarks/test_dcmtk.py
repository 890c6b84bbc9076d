import pytest

from benchmarks.dcmtk import read_transfer

FIRST = """\
100 0.000 checking input files ...
100 10.000 Requesting Association
100 12.500 Association Accepted (Max Send PDV: 16372)
100 20.000 Sending Store Request (MsgID 1, CT)
100 500.000 Received Store Response (Success)
100 510.000 Sending Store Request (MsgID 2, CT)
101 20.000 Received Store Response (Success)
"""
SECOND = """\
100 30.000 Requesting Association
100 31.000 Association Accepted (Max Send PDV: 16372)
100 40.000 Sending C-STORE Request (MsgID 1, CT)
101 540.000 Received C-STORE Response (Success)
101 550.000 Sending C-STORE Request (MsgID 2, CT)
101 600.000 Received C-STORE Response (Refused: OutOfResources)
"""


def test_a_transfer_runs_from_the_first_request_to_the_last_response_of_all() -> None:
    done = read_transfer([FIRST, SECOND], 2.0)
    assert done.stored == 3
    assert done.seconds == pytest.approx(1.52)
    assert done.per_second == pytest.approx(3 / 1.52)
    assert done.setup_seconds == pytest.approx(0.0025)
    assert done.ended_at == pytest.approx(101.54)


def test_a_sender_that_stored_nothing_has_no_rate() -> None:
    assert read_transfer(["100 0.000 Requesting Association\n"], 1.0).per_second == 0.0

"""What messages say, and what they do not: as JSON with its signature, and as HL7 v2."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from config.errors import SettingsError
from config.settings import HL7ReceiverSettings
from node.notifying.notice import STATEMENTS, Notice
from node.notifying.oru import escaped, oru_of
from node.notifying.webhook import payload, secret_of, signature
from node.results.outcomes import DISCLAIMER, Outcome

NOW = datetime(2031, 3, 4, 5, 6, 7, tzinfo=UTC)
RIS = HL7ReceiverSettings(
    name="ris", host="127.0.0.1", port=2575, receiving_application="RIS", sending_facility="CT"
)
NOTICE = Notice(
    message_id="0123456789abcdef0123",
    source="MIDLINE",
    product="Midline",
    version="0.1.0",
    outcome=Outcome.POSITIVE,
    statement=STATEMENTS[Outcome.POSITIVE],
    disclaimer=DISCLAIMER,
    job=7,
    study=5,
    finished_at=NOW,
)
PATIENT = {
    "study_instance_uid": "1.2.3",
    "accession_number": "A|1",
    "patient_id": "P^7~&",
    "patient_name": "Doe^Jane\\=X",
    "patient_birth_date": "19500102",
}


def parsed(notice: Notice) -> object:
    return parse_message(
        oru_of(notice, RIS, now=NOW), find_groups=True, validation_level=VALIDATION_LEVEL.STRICT
    )


def segments(notice: Notice) -> dict[str, list[list[str]]]:
    """Fields of each segment, by its name."""
    found: dict[str, list[list[str]]] = {}
    for line in oru_of(notice, RIS, now=NOW).split("\r"):
        fields = line.split("|")
        found.setdefault(fields[0], []).append(fields)
    return found


def test_the_signature_is_that_of_the_published_example() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_json_says_what_was_found_and_what_it_is_not() -> None:
    told = json.loads(payload(NOTICE))
    assert told["type"] == "report.made"
    assert told["data"]["outcome"] == "POSITIVE"
    assert "Not for diagnosis" in told["data"]["disclaimer"]
    assert set(told["data"]).isdisjoint({*PATIENT, "volume_ml"})
    assert payload(NOTICE) == payload(NOTICE)
    included = replace(NOTICE, told=PATIENT, volume_ml={"SDH": 3.2})
    told = json.loads(payload(included))["data"]
    assert {key: told[key] for key in PATIENT} == PATIENT
    assert told["volume_ml"] == {"SDH": 3.2}


def test_no_outcome_reads_as_the_absence_of_a_bleed() -> None:
    assert set(STATEMENTS) == set(Outcome)
    assert "AI did not detect" in STATEMENTS[Outcome.NEGATIVE]
    for statement in STATEMENTS.values():
        assert "no haemorrhage" not in statement.lower()


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_is_an_hl7_message_by_the_structure_of_the_standard(outcome: Outcome) -> None:
    notice = replace(NOTICE, outcome=outcome, statement=STATEMENTS[outcome], reason="QUALITY")
    parsed(notice)
    found = segments(notice)
    assert found["MSH"][0][8] == "ORU^R01^ORU_R01"
    assert (found["MSH"][0][9], found["MSH"][0][10]) == (NOTICE.message_id, "P")
    assert found["OBX"][0][5] == outcome
    assert found["OBX"][0][8] == ("A" if outcome is Outcome.POSITIVE else "")
    assert {each[11] for each in found["OBX"]} == {"P"}
    assert "PID" not in found


def test_hl7_holds_of_the_patient_what_is_included() -> None:
    notice = replace(NOTICE, told=PATIENT, volume_ml={"SDH": 3.25})
    parsed(notice)
    found = segments(notice)
    (pid,), (obr,) = found["PID"], found["OBR"]
    assert pid[3] == "P\\S\\7\\R\\\\T\\"
    assert pid[5] == "Doe^Jane\\E\\"
    assert pid[7] == "19500102"
    assert obr[18] == "A\\F\\1"
    assert "110180^Study Instance UID^DCM" in [each[3] for each in found["OBX"]]
    assert found["OBX"][-1][5] == "3.25"
    unnamed = segments(replace(NOTICE, told={"patient_id": "7"}))["PID"][0]
    assert (unnamed[3], unnamed[5]) == ("7", "^^^^^^U")


def test_a_trial_is_marked_as_such() -> None:
    trial = replace(NOTICE, is_test=True)
    assert segments(trial)["MSH"][0][10] == "T"
    assert json.loads(payload(trial))["type"] == "test"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_whatever_a_patient_is_called_stays_within_its_field(text: str) -> None:
    found = segments(replace(NOTICE, told={"patient_id": text}))
    assert [len(found[name]) for name in ("MSH", "PID", "OBR")] == [1, 1, 1]
    field = found["PID"][0][3]
    assert not set(escaped(text)) & set("|^&~\r")
    assert field == escaped(text) or not text.strip()


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_AAAA", "not base64!", "A" * 200])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"secret_file: .* must hold whsec_"):
        secret_of(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        secret_of(tmp_path / "absent")


def test_a_secret_is_read_with_or_without_its_prefix(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    text = base64.b64encode(bytes(32)).decode()
    for written in (text, f"whsec_{text}\n"):
        path.write_text(written)
        assert secret_of(path) == bytes(32)

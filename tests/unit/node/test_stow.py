"""What the payload of a Store response says; it is foreign, and may be anything."""

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from node.status import Verdict
from node.stow import Response, read_response, verdict_of_answer
from node.web import Answer

OURS, OTHER = "2.25.1", "2.25.2"
NOTHING = Response(failed=False, failure_reason=None, stored=False, warning_reason=None)
TAGS = ("00081198", "00081199", "0008119A", "00081197", "00081196", "00081155")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(OURS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from((*TAGS, "vr", "Value")), inner, max_size=3)
        | inner.map(lambda value: {"vr": "SQ", "Value": [value]})
    ),
    max_leaves=20,
)


def element(*values: object) -> dict[str, object]:
    return {"vr": "UN", "Value": list(values)}


def item(uid: str, **numbers: int) -> dict[str, object]:
    return {
        "00081155": element(uid),
        **{f"000811{tag[1:]}": element(n) for tag, n in numbers.items()},
    }


@given(anything)
def test_whatever_it_is_it_is_read(payload: object) -> None:
    response = read_response(payload, OURS)
    for number in (response.failure_reason, response.warning_reason):
        assert number is None or 0 <= number <= 0xFFFF


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_an_answer_is_done_only_if_nothing_in_it_failed(content: bytes) -> None:
    for status in (200, 202, 409):
        answer = Answer(status, timedelta(0), content)
        response = read_response(answer.json(), OURS)
        if verdict_of_answer(answer, response) is Verdict.DONE:
            assert response.failure_reason in (None, 0x0111)
            assert status == 200 or response.stored or response.failure_reason == 0x0111


def test_a_payload_nested_deeper_than_python_goes_says_nothing() -> None:
    assert Answer(409, timedelta(0), b"[" * 100_000).json() is None


def test_what_was_stored_and_what_failed() -> None:
    stored = {"00081199": element(item(OURS, _96=0xB000))}
    assert read_response(stored, OURS) == Response(
        failed=False, failure_reason=None, stored=True, warning_reason=0xB000
    )
    failed = {"00081198": element(item(OURS, _97=0x0122))}
    assert read_response(failed, OURS) == Response(
        failed=True, failure_reason=0x0122, stored=False, warning_reason=None
    )


def test_another_object_is_not_ours_and_other_failures_are_failures() -> None:
    assert read_response({"00081199": element(item(OTHER))}, OURS) == NOTHING
    other = {"0008119A": element({"00081197": element(0xA700)})}
    assert read_response(other, OURS).failure_reason == 0xA700


def test_numbers_out_of_range_are_none() -> None:
    for reason in (-1, 0x10000, "272", 1.5, None):
        payload = {"00081198": element({"00081197": element(reason)})}
        assert read_response(payload, OURS) == Response(
            failed=True, failure_reason=None, stored=False, warning_reason=None
        )

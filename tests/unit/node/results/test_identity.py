"""UIDs follow from the job alone, and identities that objects cannot carry are refused."""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from node.implementation import IMPLEMENTATION_CLASS_UID
from node.results.identity import (
    ContentQualification,
    digest_of_instances,
    model_device_uid,
)
from node.results.outcomes import DISCLAIMER
from tests.support.result_inputs import CREATED, MODEL, NODE, make_context, uid

CONTEXT = make_context()


def test_uids_never_change_between_versions_of_the_program() -> None:
    assert CONTEXT.uid("kind") == "2.25.72918292685783469278681029869151507380"
    assert IMPLEMENTATION_CLASS_UID == "2.25.101883782064236503069247169894843487628"


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, generation=2),
        replace(CONTEXT, input_digest="other"),
        replace(CONTEXT, study_instance_uid=uid("other")),
        replace(CONTEXT, series_instance_uid=uid("other")),
        replace(CONTEXT, model=replace(MODEL, device_uid=uid("other"))),
    ],
)
def test_another_input_model_or_generation_gives_other_uids(other: object) -> None:
    assert other.uid("kind") != CONTEXT.uid("kind")  # type: ignore[attr-defined]


def test_another_time_or_node_version_gives_the_same_uids() -> None:
    later = replace(CONTEXT, created=CREATED.replace(year=2040), node=replace(NODE, version="9"))
    assert later.uid("kind") == CONTEXT.uid("kind")


@given(st.text(), st.text())
def test_uids_are_valid_and_differ_with_the_kind(kind: str, other: str) -> None:
    assert UID(CONTEXT.uid(kind)).is_valid
    assert (CONTEXT.uid(kind) == CONTEXT.uid(other)) == (kind == other)


def test_tracking_uids_outlive_a_generation_but_not_a_study() -> None:
    again = replace(CONTEXT, generation=2, input_digest="late slices")
    assert again.tracking_uid("ICH-SDH") == CONTEXT.tracking_uid("ICH-SDH")
    elsewhere = replace(CONTEXT, study_instance_uid=uid("other"))
    assert elsewhere.tracking_uid("ICH-SDH") != CONTEXT.tracking_uid("ICH-SDH")
    assert CONTEXT.tracking_uid("ICH-SDH-2") != CONTEXT.tracking_uid("ICH-SDH")


def test_each_generation_has_its_own_series_numbers() -> None:
    numbers = [replace(CONTEXT, generation=g).series_number(9002) for g in (1, 2, 3)]
    assert numbers == [9002, 9012, 9022]
    elsewhere = replace(CONTEXT, node=replace(NODE, first_series_number=501), generation=2)
    assert elsewhere.series_number(9002) == 512


def test_a_model_with_other_weights_or_settings_is_another_device() -> None:
    uids = [model_device_uid(*parts) for parts in (("a", "b"), ("a", "c"), ("d", "b"))]
    assert len(set(uids)) == 3


@given(st.lists(st.tuples(st.text("123.", min_size=1), st.text("ab")), unique=True))
def test_the_digest_does_not_depend_on_the_order_of_instances(
    instances: list[tuple[str, str]],
) -> None:
    digests = {digest_of_instances(order) for order in (instances, instances[::-1])}
    assert len(digests) == 1


def test_the_digest_changes_with_an_instance_or_its_pixels() -> None:
    inputs = [[("1.2", "a")], [("1.2", "b")], [("1.3", "a")], [("1.2", "a"), ("1.3", "a")], []]
    digests = sorted(digest_of_instances(instances) for instances in inputs)
    assert all(one != other for one, other in pairwise(digests))


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        make_context(created=datetime(2031, 3, 4))  # noqa: DTZ001 - what is refused


def test_generations_count_from_one() -> None:
    with pytest.raises(ValueError, match="generation"):
        make_context(generation=0)


@pytest.mark.parametrize(
    "change",
    [
        {"ae_title": "A" * 17},
        {"ae_title": ""},
        {"manufacturer": ""},
        {"product": "x" * 65},
        {"serial": " "},
        {"version": "Köln"},
        {"manufacturer": "one\\two"},
    ],
)
def test_an_identity_that_objects_cannot_carry_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"plain ASCII|longer than"):
        replace(NODE, **change)


def test_a_model_needs_a_valid_device_uid() -> None:
    with pytest.raises(ValueError, match="UID"):
        replace(MODEL, device_uid="1.02.3")


def test_a_product_needs_a_recorded_approval() -> None:
    with pytest.raises(ValueError, match="approved"):
        replace(NODE, content_qualification=ContentQualification.PRODUCT)
    with pytest.raises(ValueError, match="approved"):
        replace(NODE, approved=True)


def test_only_an_approved_node_leaves_the_warning_out() -> None:
    approved = replace(NODE, content_qualification=ContentQualification.PRODUCT, approved=True)
    assert NODE.disclaimer == DISCLAIMER
    assert NODE.series_description("report") == "AI ICH report - NOT FOR DIAGNOSIS"
    assert "diagnosis" not in approved.disclaimer
    assert "Not reviewed by a physician" in approved.disclaimer
    assert approved.series_description("report") == "AI ICH report"

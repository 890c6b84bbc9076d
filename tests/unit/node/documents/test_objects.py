"""What is said of the objects is true of them: where values come from, and what they never hold."""

from collections.abc import Iterator
from dataclasses import fields

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from node.documents.objects import (
    Attribute,
    Existence,
    Origin,
    attributes_of,
    everything,
    kinds_sent,
    name_of,
)
from node.documents.site import Site, default_settings
from node.documents.specimens import (
    all_statements,
    other_installation,
)
from node.documents.terms import Standing, standing_of
from node.documents.trees import code_of
from node.results.forms import REPORT_CLASSES, SEGMENTATION_CLASSES
from node.results.outcomes import WORDINGS
from node.writing import SENDING_ORDER

SITE = Site.of(default_settings())
OURS = SITE.installation
TEXTS = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")


def described(kind: str) -> dict[str, Attribute]:
    return {each.name: each for each in attributes_of(kind, OURS)}


def elements(dataset: Dataset) -> Iterator[DataElement]:
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


def test_every_form_of_mask_and_report_is_sent() -> None:
    kinds = kinds_sent(OURS)
    classes = {each.sop_class_uid for each in kinds}
    assert set(REPORT_CLASSES.values()) | set(SEGMENTATION_CLASSES.values()) <= classes
    assert tuple(dict.fromkeys(each.kind for each in kinds)) == SENDING_ORDER
    assert [each.kind for each in kinds if each.by_default] == ["SEG", "PAGE", "SR"]


def test_classes_have_names() -> None:
    assert all(name_of(each.sop_class_uid)[0].isalpha() for each in kinds_sent(OURS))


def test_every_way_to_report_has_a_report_and_says_what_was_asked_for() -> None:
    statements = all_statements(OURS)
    assert statements.keys() == WORDINGS.keys()
    for (outcome, presence), specimen in statements.items():
        assert (specimen.result.outcome, specimen.result.presence) == (outcome, presence)
        assert specimen.objects[-1].kind == "SR"


def test_a_finding_is_reported_with_whatever_a_result_can_hold() -> None:
    result = everything(OURS).result
    empty = [field.name for field in fields(result) if not getattr(result, field.name)]
    assert not empty, "node/documents/specimens.py leaves out what a result can hold"


def test_two_installations_have_nothing_in_common() -> None:
    other = other_installation(OURS)
    for name in ("ae_title", "manufacturer", "product", "version", "serial"):
        assert getattr(OURS.node, name) != getattr(other.node, name)
    for field in fields(OURS.model):
        assert getattr(OURS.model, field.name) != getattr(other.model, field.name)
    ours, theirs = everything(OURS).sources[0], everything(other).sources[0]
    same = {each.keyword for each in ours if each.value == theirs[each.keyword].value}
    assert same == {
        *("SOPClassUID", "Modality", "InstanceNumber", "ImageType"),
        *("SamplesPerPixel", "PhotometricInterpretation"),
    }


@pytest.mark.parametrize(
    ("kind", "name", "existence", "origin", "value"),
    [
        ("SR", "Patient ID", Existence.ALWAYS, Origin.COPY, ""),
        ("SR", "Patient's Name", Existence.VNAP, Origin.COPY, ""),
        ("SR", "Issuer of Patient ID", Existence.ANAP, Origin.COPY, ""),
        ("SR", "Manufacturer", Existence.ALWAYS, Origin.CONFIG, "identity.manufacturer"),
        ("SR", "Software Versions", Existence.ALWAYS, Origin.CONFIG, "the installed version"),
        ("SR", "Completion Flag", Existence.ALWAYS, Origin.FIXED, "COMPLETE; PARTIAL"),
        ("SR", "SOP Instance UID", Existence.ALWAYS, Origin.AUTO, ""),
        ("SEG", "Segmentation Type", Existence.ALWAYS, Origin.FIXED, "BINARY"),
        ("SEG", "Rows", Existence.ALWAYS, Origin.COPY, ""),
        ("SEG", "Frame of Reference UID", Existence.ALWAYS, Origin.COPY, ""),
        ("PAGE", "Burned In Annotation", Existence.ALWAYS, Origin.FIXED, "YES"),
        ("PAGE", "Patient Orientation", Existence.EMPTY, Origin.FIXED, ""),
        ("OVERLAY", "Slice Thickness", Existence.VNAP, Origin.COPY, ""),
        ("OVERLAY", "Image Position (Patient)", Existence.ALWAYS, Origin.COPY, ""),
    ],
)
def test_it_is_told_where_a_value_comes_from(
    kind: str, name: str, existence: Existence, origin: Origin, value: str
) -> None:
    attribute = described(kind)[name]
    assert (attribute.existence, attribute.origin, attribute.value) == (existence, origin, value)


def test_series_descriptions_of_reports_are_told_word_by_word() -> None:
    text = described("SR")["Series Description"].value
    assert all(f" {wording.word} - NOT FOR DIAGNOSIS" in text for wording in WORDINGS.values())


def test_no_object_has_a_private_attribute() -> None:
    for specimen in all_statements(OURS).values():
        for written in specimen.objects:
            assert not any(each.tag.is_private for each in elements(written.dataset))


def test_whatever_is_not_copied_is_plain_ascii() -> None:
    for specimen in all_statements(OURS).values():
        for written in specimen.objects:
            texts = (each for each in elements(written.dataset) if each.VR in TEXTS)
            assert all(str(each.value).isascii() for each in texts)


def test_every_code_in_an_object_is_confirmed_private_or_marked() -> None:
    found = set()
    for specimen in all_statements(OURS).values():
        for written in specimen.objects:
            for element in elements(written.dataset):
                if element.VR == "SQ" and element.keyword != "ProcedureCodeSequence":
                    found |= {code_of(item) for item in element.value if "CodeValue" in item}
    unknown = {code for code in found if standing_of(code) is Standing.UNKNOWN}
    assert len(found) > 60
    assert {(code.value, code.scheme_designator) for code in unknown} <= {
        ("en-US", "RFC5646"),  # a language, of another standard
        ("{pixels}", "UCUM"),  # UCUM allows any annotation in braces
        ("{-1:1}", "UCUM"),
        ("CTHEAD0", "99SITE"),  # the site's own, copied
    }

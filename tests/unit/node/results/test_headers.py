"""Source headers: completed, never repaired, never changed, never of two patients."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from config.errors import PatientConflictError, Reason, UnreadableInputError
from node.results.headers import TYPE_2, encode, prepare_source, replace_value
from node.results.outcomes import StudyResult
from node.results.report import build_report
from tests.support.result_inputs import make_context, make_grid, make_series, uid

SERIES = make_series(make_grid())
CONTEXT = make_context()
FAILED = StudyResult.failed(Reason.FORMAT)


def changed(change: Callable[[Dataset], object], *, only: slice = slice(None)) -> list[Dataset]:
    """Copy the headers of a sound series and change them."""
    headers = deepcopy(list(SERIES.headers))
    for header in headers[only]:
        change(header)
    return headers


def report_on(headers: list[Dataset]) -> Dataset:
    """Build a report of a failure, write it and read it."""
    return dcmread(BytesIO(encode(build_report(CONTEXT, FAILED, headers))))


def test_patient_and_study_arrive_as_they_came() -> None:
    report, header = report_on(list(SERIES.headers)), SERIES.headers[0]
    for keyword in (
        *TYPE_2,
        "PatientID",
        "IssuerOfPatientID",
        "PatientAge",
        "StudyInstanceUID",
        "StudyDescription",
        "SpecificCharacterSet",
    ):
        assert report.get(keyword) == header.get(keyword), keyword
    assert str(report.PatientName) == "Synthetic^Müller"


def test_the_headers_that_were_given_are_left_as_they_were() -> None:
    headers = changed(lambda h: h.pop("PatientSex"))
    before = [header.to_json() for header in headers]
    report_on(headers)
    assert [header.to_json() for header in headers] == before


def test_a_change_of_an_object_does_not_reach_the_headers_that_it_was_made_of() -> None:
    headers = deepcopy(list(SERIES.headers))
    report = build_report(CONTEXT, FAILED, headers)
    report.StudyInstanceUID, report.PatientID, report.StudyDate = uid("other"), "X", "19000101"
    assert [h.to_json() for h in headers] == [h.to_json() for h in SERIES.headers]


@pytest.mark.parametrize("keyword", TYPE_2)
def test_an_absent_type_2_attribute_is_completed_empty(keyword: str) -> None:
    report = report_on(changed(lambda h: h.pop(keyword, None)))
    assert keyword in report
    assert not report.get(keyword)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientSex", "U"),
        ("PatientBirthDate", "UNKNOWN"),
        ("StudyDate", "03/04/31"),
        ("StudyTime", "noon"),
        ("PatientName", "A name of one part"),
        ("AccessionNumber", "longer than the sixteen characters"),
        ("StudyID", "longer than the sixteen characters"),
        ("PatientID", "longer than the sixty-four characters that a PatientID may have at most"),
        ("PatientAge", "old"),
    ],
)
def test_a_value_that_the_standard_forbids_is_kept_and_quoted_in_no_warning(
    keyword: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    with disable_value_validation():
        headers = changed(lambda h: replace_value(h, keyword, value))
    written = encode(build_report(CONTEXT, FAILED, headers))  # a warning would fail the test
    assert value not in caplog.text
    with disable_value_validation():
        assert str(dcmread(BytesIO(written)).get(keyword)) == value


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Łukasz^Żółć"),
        ("ISO_IR 144", "Иванов^Иван"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (None, "Plain^Ascii"),
    ],
)
def test_a_name_keeps_its_letters_in_the_character_set_of_the_source(
    character_set: str | list[str] | None, name: str
) -> None:
    def change(header: Dataset) -> None:
        del header.SpecificCharacterSet
        if character_set is not None:
            header.SpecificCharacterSet = character_set
        header.PatientName = name

    report = report_on(changed(change))
    assert str(report.PatientName) == name
    assert report.get("SpecificCharacterSet") == character_set


def test_an_empty_attribute_of_type_1c_is_dropped_with_what_depends_on_it() -> None:
    def change(header: Dataset) -> None:
        header.PatientIdentityRemoved, header.DeidentificationMethod = "YES", ""

    report = report_on(changed(change))
    assert "PatientIdentityRemoved" not in report
    assert "DeidentificationMethod" not in report


def test_a_named_deidentification_is_kept() -> None:
    def change(header: Dataset) -> None:
        header.PatientIdentityRemoved, header.DeidentificationMethod = "YES", "by hand"

    report = report_on(changed(change))
    assert (report.PatientIdentityRemoved, report.DeidentificationMethod) == ("YES", "by hand")


def test_private_elements_and_pixels_do_not_travel() -> None:
    def change(header: Dataset) -> None:
        header.private_block(0x0011, "SECRET", create=True).add_new(1, "LO", "canary")
        header.add_new("PixelData", "OW", b"canary")

    source = prepare_source(CONTEXT, changed(change))
    assert all("canary" not in header.to_json() for header in source.headers)
    assert all("PixelData" not in header for header in source.headers)


@pytest.mark.parametrize("keyword", ["PatientID", "SeriesInstanceUID", "SOPClassUID"])
def test_a_source_that_cannot_be_filed_gets_no_object(keyword: str) -> None:
    for absent in (True, False):
        headers = changed(lambda h: h.pop(keyword) if absent else setattr(h, keyword, ""))  # noqa: B023
        with pytest.raises(UnreadableInputError, match=keyword):
            report_on(headers)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientID", "OTHER"), ("IssuerOfPatientID", "OTHER"), ("StudyInstanceUID", uid("other"))],
)
@pytest.mark.parametrize("only", [slice(3, 4), slice(0, 1)])
def test_images_of_two_patients_or_studies_never_meet(
    keyword: str, value: str, only: slice
) -> None:
    headers = changed(lambda h: setattr(h, keyword, value), only=only)
    with pytest.raises(PatientConflictError):
        report_on(headers)


def test_images_of_another_study_than_the_job_are_refused() -> None:
    with pytest.raises(PatientConflictError):
        report_on(changed(lambda h: setattr(h, "StudyInstanceUID", uid("other"))))


def test_a_conflict_does_not_quote_the_patient() -> None:
    headers = changed(lambda h: setattr(h, "PatientID", "CANARY"), only=slice(1))
    with pytest.raises(PatientConflictError) as caught:
        report_on(headers)
    assert "CANARY" not in str(caught.value)


def test_no_headers_make_no_object() -> None:
    with pytest.raises(ValueError, match="at least one"):
        report_on([])


def test_every_date_and_time_of_an_object_is_the_jobs_or_the_sources() -> None:
    report = build_report(CONTEXT, FAILED, list(SERIES.headers))
    header = SERIES.headers[0]
    known = {"20310304", "050607", "20310304050607+0000", header.PatientBirthDate}
    known |= {header.StudyDate, header.StudyTime}
    times = {str(e.value) for e in report.iterall() if e.VR in ("DA", "TM", "DT")}
    assert times == known


@pytest.mark.parametrize(
    ("offset", "date", "time", "moment"),
    [
        ("+0530", "20310304", "103607", "20310304103607+0530"),
        ("-1100", "20310303", "180607", "20310303180607-1100"),
        ("nonsense"[:5], "20310304", "050607", "20310304050607+0000"),
    ],
)
def test_times_are_told_in_the_zone_that_the_source_names(
    offset: str, date: str, time: str, moment: str
) -> None:
    report = report_on(changed(lambda h: setattr(h, "TimezoneOffsetFromUTC", offset)))
    assert (report.ContentDate, report.ContentTime) == (date, time)
    assert report.ContributingEquipmentSequence[1].ContributionDateTime == moment


def test_times_are_told_in_the_zone_of_the_job_if_the_source_names_none() -> None:
    east = timezone(timedelta(hours=2))
    context = make_context(created=datetime(2031, 3, 4, 23, 30, tzinfo=UTC).astimezone(east))
    report = build_report(context, FAILED, list(SERIES.headers))
    assert (report.ContentDate, report.ContentTime) == ("20310305", "013000")
    assert "TimezoneOffsetFromUTC" not in report


def test_files_start_with_zeros_and_name_the_program() -> None:
    written = encode(build_report(CONTEXT, FAILED, list(SERIES.headers)))
    assert written[:132] == bytes(128) + b"DICM"
    assert b"MIDLINE 0.1.0" in written[132:400]

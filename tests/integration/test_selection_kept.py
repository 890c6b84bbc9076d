"""What a job has selected is kept with it, also when nothing qualifies."""

import json

from tests.integration.test_analysis import Site, bleeding
from tests.integration.test_analysis import site as site  # noqa: PLC0414 - the fixture
from tests.support.ct_series import uid


def test_the_chosen_series_and_the_rejected_ones_are_kept(site: Site) -> None:
    scout = bleeding("a/scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesNumber=1)
    job = site.analyse([*bleeding("a/head"), *scout[:1]])
    kept = json.loads(job.selection_json or "")
    assert kept["chosen"]["series_instance_uid"] == uid("a/head", "series")
    (rejected,) = kept["rejected"]
    assert (rejected["series_number"], rejected["rejection"]) == (1, "LOCALIZER")
    assert kept["reason"] is None
    with site.stores.database.begin() as transaction:
        again = transaction.jobs.requeue(job.id)
    assert again is not None
    assert again.selection_json is None


def test_a_study_without_a_series_to_analyse_tells_why(site: Site) -> None:
    job = site.analyse(bleeding(ContrastBolusAgent="SECRET 300"))
    kept = json.loads(job.selection_json or "")
    assert kept["chosen"] is None
    assert [each["rejection"] for each in kept["rejected"]] == ["CONTRAST"]
    assert kept["reason"] == job.reason
    assert "SECRET" not in (job.selection_json or "")

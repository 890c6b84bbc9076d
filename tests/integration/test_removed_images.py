"""A study whose images went after their time is not analysed by what is left of it."""

from pathlib import Path

import pytest

from config.errors import Reason
from node.guard import Guard
from node.results.outcomes import Outcome
from node.results.read_report import Conclusion
from storage.records import JobState
from tests.integration.test_analysis import Site, bleeding, site

__all__ = ["site"]


@pytest.fixture
def images_gone(site: Site) -> int:
    """Receive a study, remove its images but for the last, which comes late; its job."""
    images = bleeding()
    site.receive(images[:-1])
    site.complete()
    for path in site.stores.files.root.glob("received/*/*.dcm"):
        path.unlink()
    site.receive(images[-1:])
    return site.complete()


def test_a_late_image_alone_is_no_study(site: Site, images_gone: int) -> None:
    segmented = site.run(images_gone)
    assert not segmented["retry"]
    job = site.job(images_gone)
    assert (job.outcome, job.reason) == (Outcome.FAILED, Reason.INCOMPLETE)
    assert "35 of 36 images are not in the store any more" in (job.message or "")
    assert site.report(job.id).conclusion is Conclusion.NO_RESULT
    with site.stores.database.read() as transaction:
        pending = transaction.results.pending(job.id, "pacs")
    assert pending
    assert Guard(site.stores.database, site.stores.files).problem_of(job.id, pending) == ""


def test_the_whole_study_sent_again_is_analysed(site: Site, images_gone: int) -> None:
    site.receive(bleeding())
    site.run(images_gone)
    assert site.job(images_gone).outcome == Outcome.POSITIVE


def test_without_any_image_the_administrator_is_told(site: Site, tmp_path: Path) -> None:
    site.receive(bleeding())
    job_id = site.complete()
    for path in site.stores.files.root.glob("received/*/*.dcm"):
        path.unlink()
    site.run(job_id)
    job = site.job(job_id)
    assert job.state is JobState.FAILED
    assert "36 of 36 images" in (job.message or "")

"""What a job's workers write: its objects, once for each set of forms that destinations get.

Nothing is recorded here. Writing again gives the same files, since UIDs and bytes follow from the
input; so a worker that died, or a destination that needs another form, may always ask anew.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pydicom import dcmread
from pydicom.dataset import Dataset

from config.errors import InputError, Reason
from ml.readers.dicom import read_series
from node import pipeline, scratch
from node.engine import INTERRUPTIONS, Json
from node.results.forms import Forms, forms_of
from node.results.identity import ResultContext, digest_of_instances
from node.results.outcomes import Outcome, StudyResult
from node.workplace import Workplace
from node.writing import SENDING_ORDER, Analysis, ResultObject, write, write_failure
from storage.records import CompleteStudy, JobRecord, JobState

logger = logging.getLogger(__name__)

_MOST_OBJECTS = 10_000
"""Of one job, far more than there ever are."""
NO_SERIES = "none"
"""Stands for the series in the UIDs of a report without an analysed one."""

WITHOUT_ANALYSIS = (Outcome.FAILED, Outcome.NOT_ATTEMPTED)
"""Outcomes whose objects need nothing but reason and message."""

Write = Callable[[Forms, Dataset | None], tuple[ResultObject, ...]]
"""Makes the objects of a result in some forms, following the report that they replace."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """What some destinations get alike.

    Attributes
    ----------
    forms
        In which forms.
    previous
        The report that they have, and that the new one replaces.
    destinations
        Their names; none if the objects are for this node alone.
    """

    forms: Forms
    previous: Dataset | None
    destinations: tuple[str, ...]


def encode(place: Workplace, job_id: int, segmented: Json) -> Json:
    """Conclude from what an analysis left, and write the objects.

    Parameters
    ----------
    segmented
        Files, shortfall and prediction, as the analyser's first step returns them.
    """
    job, _ = place.job(job_id)
    analysis = _analysis(place, segmented)
    facts = pipeline.describe(analysis)
    analysed = {key: value for key, value in segmented.items() if key != "stages"}
    if job.run == 1 and _last_digest(place, job) == analysis.series.pixel_digest:
        logger.info("the analysed images are those of the last report: nothing new is made")
        return _kept(place, job, analysis.result, {}, facts=facts)
    written = _written(_writer(place, job, analysis), _all_bundles(place, job))
    return _kept(place, job, analysis.result, written, facts=facts, analysed=analysed)


def encode_failure(place: Workplace, job_id: int, reason: Reason, detail: str) -> Json:
    """Write the objects of a study without a result; if even that fails, say so."""
    result = pipeline.result_of(InputError(detail, reason=reason))
    try:
        job, study = place.job(job_id)
        write_objects = _failure_writer(place, job, study, result)
        written = _written(write_objects, _all_bundles(place, job))
        return _kept(place, job, result, written, facts={"input_digest": _digest(study)})
    except INTERRUPTIONS:
        raise
    except Exception as error:  # noqa: BLE001 - the administrator is told instead of the PACS
        logger.error("no report could be written: %s", type(error).__name__)  # noqa: TRY400
        return {"unreportable": f"{reason}: {detail} No report: {type(error).__name__}"}


def encode_for(place: Workplace, job_id: int, destination: str, refused: Collection[str]) -> Json:
    """Write the objects of a job for one destination that refuses some forms.

    Parameters
    ----------
    destination
        Its name.
    refused
        SOP classes and transfer syntaxes that it does not take.

    Returns
    -------
    Json
        ``results``, as `encode` has them. What the destination holds already is among them. None
        of a job that an earlier version of the node ended, or that is being run again.
    """
    job, study = place.job(job_id)
    target = next(each for each in place.destinations if each.name == destination)
    bundle = Bundle(forms_of(target, refused), _previous(place, job, destination), (destination,))
    if job.analysed_json is not None:
        analysis = _analysis(place, json.loads(job.analysed_json))
        write_objects = _writer(place, job, analysis)
    elif job.outcome in WITHOUT_ANALYSIS or job.state is JobState.CANCELLED:
        result = pipeline.result_of(
            InputError(job.message or "", reason=Reason(job.reason or Reason.UNSPECIFIED))
        )
        write_objects = _failure_writer(place, job, study, result)
    else:
        return {"results": []}
    return {"results": _stored(place, job, _written(write_objects, [bundle]))}


def uids_of(encoded: Json) -> frozenset[str]:
    """SOP Instance UIDs of the objects that were written."""
    results = encoded["results"]
    if not isinstance(results, list):
        raise TypeError("a list of results is expected")
    return frozenset(str(each["sop_instance_uid"]) for each in results)


def _analysis(place: Workplace, segmented: Json) -> Analysis:
    """Read back what the analyser's first step left, and conclude from it."""
    files = segmented["files"]
    if not isinstance(files, list):
        raise TypeError("a list of files is expected")
    series = read_series([place.files.path(str(path)) for path in files])
    content = place.files.path(str(segmented["prediction"])).read_bytes()
    prediction = scratch.load(content, series.volume.grid)
    return pipeline.conclude(
        series, prediction, place.thresholds, shortfall=str(segmented["shortfall"])
    )


def _writer(place: Workplace, job: JobRecord, analysis: Analysis) -> Write:
    context = place.context(
        job,
        series_instance_uid=str(analysis.series.headers[0].SeriesInstanceUID),
        input_digest=analysis.series.pixel_digest,
    )
    return lambda forms, previous: write(context, analysis, forms=forms, previous=previous)


def _failure_writer(
    place: Workplace, job: JobRecord, study: CompleteStudy, result: StudyResult
) -> Write:
    headers = pipeline.evidence(place.paths(study))
    context: ResultContext = place.context(
        job, series_instance_uid=NO_SERIES, input_digest=_digest(study)
    )
    return lambda forms, previous: write_failure(
        context, result, headers, forms=forms, previous=previous
    )


def _all_bundles(place: Workplace, job: JobRecord) -> list[Bundle]:
    """Put together the destinations that get the same; without any, the node keeps the default."""
    with place.database.read() as transaction:
        refused = {d.name: transaction.refusals.of(d.name) for d in place.destinations}
    found: dict[tuple[Forms, str], Bundle] = {}
    for destination in place.destinations:
        name = destination.name
        forms, previous = forms_of(destination, refused[name]), _previous(place, job, name)
        key = (forms, "" if previous is None else str(previous.SOPInstanceUID))
        others = found[key].destinations if key in found else ()
        found[key] = Bundle(forms, previous, (*others, name))
    return list(found.values()) or [Bundle(Forms(), None, ())]


def _previous(place: Workplace, job: JobRecord, destination: str) -> Dataset | None:
    """Read the report of the study that a destination has; None before the first."""
    with place.database.read() as transaction:
        reports = transaction.results.reports_before(
            job.id, study_id=job.study_id, destination=destination
        )
    return dcmread(place.files.path(reports[-1].path)) if reports else None


def _last_digest(place: Workplace, job: JobRecord) -> str | None:
    """Digest of the images that the last report of the study rests on."""
    with place.database.read() as transaction:
        ended = transaction.jobs.list(study_id=job.study_id, state=JobState.SUCCEEDED)
    before = [other for other in ended if other.id < job.id]
    if not before:
        return None
    last = max(before, key=lambda other: other.id)
    found = json.loads(last.findings_json or "{}").get("input_digest")
    return None if found is None else str(found)


def _digest(study: CompleteStudy) -> str:
    return digest_of_instances(
        (instance.sop_instance_uid, instance.sha256) for instance in study.instances
    )


def _written(
    write_objects: Write, bundles: Sequence[Bundle]
) -> Mapping[str, tuple[ResultObject, tuple[str, ...]]]:
    """Write each bundle; an object that several get is one, with all their names."""
    written: dict[str, tuple[ResultObject, tuple[str, ...]]] = {}
    for bundle in bundles:
        for made in write_objects(bundle.forms, bundle.previous):
            _, others = written.get(made.sop_instance_uid, (made, ()))
            written[made.sop_instance_uid] = (made, (*others, *bundle.destinations))
    return written


def _stored(
    place: Workplace,
    job: JobRecord,
    written: Mapping[str, tuple[ResultObject, tuple[str, ...]]],
) -> list[Json]:
    """Write objects to the store; what `node.workplace.record` needs of them."""
    described: list[Json] = []
    for number, (made, destinations) in enumerate(written.values()):
        stored = place.files.write_result(made.content, job_id=job.id)
        described.append(
            {
                "kind": made.kind,
                "sop_class_uid": made.sop_class_uid,
                "sop_instance_uid": made.sop_instance_uid,
                "path": stored.path,
                "sha256": stored.sha256,
                # a report that two bundles share still follows the images of both
                "position": _MOST_OBJECTS * SENDING_ORDER.index(made.kind) + number,
                "destinations": list(destinations),
            }
        )
    return described


def _kept(
    place: Workplace,
    job: JobRecord,
    result: StudyResult,
    written: Mapping[str, tuple[ResultObject, tuple[str, ...]]],
    *,
    facts: Mapping[str, object],
    analysed: Json | None = None,
) -> Json:
    """Put together what is recorded of a job's end.

    Parameters
    ----------
    facts
        Volumes and scores, shown to the administrator; no patient data.
    analysed
        What the objects can be written from again.
    """
    return {
        "outcome": result.outcome.value,
        "reason": result.reason.value if result.reason is not None else None,
        "message": result.detail or None,
        "findings": json.dumps(facts),
        "analysed": None if analysed is None else json.dumps(analysed),
        "results": _stored(place, job, written),
    }

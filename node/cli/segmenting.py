"""The main job without a network: the files of one study in, result objects and a picture out."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from config.errors import InputError, UsageError
from config.settings import Settings
from ml.checkpoint import Thresholds
from ml.inference import Segmenter
from ml.readers.dicom import read_header
from ml.volume import Mask
from node import pipeline, roles
from node.cli.output import duration, write_facts, write_table
from node.encoding import NO_SERIES
from node.results.identity import ResultContext, digest_of_instances
from node.results.outcomes import StudyResult, describe_finding
from node.results.picture import draw_result, encode_png
from node.writing import ResultObject, write, write_failure

FILE_NAMES = {"SEG": "seg.dcm", "PAGE": "summary.dcm", "SR": "report.dcm"}
PICTURE, FACTS = "overlay.png", "findings.json"

Sign = Callable[[str, str], ResultContext]
"""Makes the context of the results from Series Instance UID and digest of the input."""


@dataclass(frozen=True, eq=False)
class Segmented:
    """What came out.

    Attributes
    ----------
    result
        What may be said about the case.
    objects
        DICOM files.
    picture
        PNG.
    facts
        What `findings.json` holds.
    """

    result: StudyResult
    objects: tuple[ResultObject, ...]
    picture: bytes
    facts: dict[str, object]


def analyse_files(
    files: Sequence[Path], settings: Settings, *, tell: Callable[[str], None]
) -> Segmented:
    """Analyse one study.

    Parameters
    ----------
    files
        All its DICOM files, of any series.
    settings
        Model, device and identity.
    tell
        Called with what is being done.

    Raises
    ------
    UsageError
        If the files are of several studies.
    InputError
        If not even a report can be made of them.
    """
    study_instance_uid = _sole_study(files)
    segmenter = roles.load_segmenter(settings)
    thresholds = roles.thresholds_of(settings, segmenter.card)
    started = time.perf_counter()

    def sign(series_instance_uid: str, input_digest: str) -> ResultContext:
        return ResultContext(
            node=roles.node_identity(settings),
            model=roles.model_identity(settings, segmenter.card),
            study_instance_uid=study_instance_uid,
            series_instance_uid=series_instance_uid,
            input_digest=input_digest,
            created=datetime.now(UTC),
        )

    try:
        segmented = _analysed(files, segmenter, thresholds, sign, tell)
    except InputError as error:
        segmented = _refused(files, error, sign)
    result = segmented.result
    facts = {
        "outcome": result.outcome.value,
        "presence": result.presence.value,
        "reason": result.reason and result.reason.value,
        "detail": result.detail or None,
        **segmented.facts,
        "model": f"{segmenter.card.name} {segmenter.card.version}",
        "device": segmenter.device,
        "precision": segmenter.precision.value,
        "midline": roles.PRODUCT_VERSION,
        "seconds": round(time.perf_counter() - started, 2),
        "disclaimer": roles.node_identity(settings).disclaimer,
    }
    return replace(segmented, facts=facts)


def _analysed(
    files: Sequence[Path],
    segmenter: Segmenter,
    thresholds: Thresholds,
    sign: Sign,
    tell: Callable[[str], None],
) -> Segmented:
    tell("reading the images")
    chosen = pipeline.select(files)
    series = pipeline.read(chosen.files)
    tell(f"segmenting {len(series.frames)} slices")
    analysis = pipeline.analyse(
        series,
        segmenter,
        thresholds,
        shortfall=pipeline.shortfall_of(chosen),
    )
    context = sign(str(series.headers[0].SeriesInstanceUID), series.pixel_digest)
    mask = analysis.mask
    if not analysis.result.findings:
        # what the score does not bear out is not reported, and must not be drawn either
        mask = Mask(np.zeros_like(mask.labels), mask.grid)
    picture = draw_result(context, analysis.result, volume=series.volume, mask=mask)
    return Segmented(
        result=analysis.result,
        objects=write(context, analysis),
        picture=encode_png(picture),
        facts=pipeline.describe(analysis),
    )


def _refused(files: Sequence[Path], error: InputError, sign: Sign) -> Segmented:
    """Report why there is no result."""
    result, headers = pipeline.result_of(error), pipeline.evidence(files)
    digest = digest_of_instances((str(h.get("SOPInstanceUID")), "") for h in headers)
    context = sign(NO_SERIES, digest)
    return Segmented(
        result=result,
        objects=write_failure(context, result, headers),
        picture=encode_png(draw_result(context, result)),
        facts={},
    )


def _sole_study(files: Sequence[Path]) -> str:
    """Study Instance UID of the files; one that cannot be read is left to the analysis."""
    studies: dict[str, Dataset] = {}
    problem: InputError | None = None
    for file in files:
        try:
            header = read_header(file)
        except InputError as error:
            problem = error
            continue
        studies.setdefault(str(header.get("StudyInstanceUID", "")), header)
    if len(studies) > 1:
        raise UsageError(f"these are {len(studies)} studies: name the folder of one")
    if not studies:
        raise problem or UsageError("there is no file to analyse")
    return next(iter(studies))


def write_into(folder: Path, segmented: Segmented) -> tuple[Path, ...]:
    """Write the files; whatever an earlier call wrote there is replaced or removed.

    Raises
    ------
    UsageError
        If the folder cannot be written.
    """
    contents = {FILE_NAMES[each.kind]: each.content for each in segmented.objects}
    contents[PICTURE] = segmented.picture
    contents[FACTS] = (json.dumps(segmented.facts, indent=2) + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # a segmentation of another study must not lie beside this report
        for name in FILE_NAMES.values():
            (folder / name).unlink(missing_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror})") from error
    return tuple(folder / name for name in contents)


def _quality_lines(result: StudyResult) -> list[tuple[str, str]]:
    """Score of the case, how familiar the images are, and what is least usual about them."""
    lines = []
    if result.case_score_percent is not None:
        lines.append(("AI score", f"{result.case_score_percent:.0f} % (not a probability)"))
    familiarity = result.familiarity
    if familiarity is not None:
        like = "like" if familiarity.is_familiar else "UNLIKE"
        how_far = (
            f"{like} those of the training: distance {familiarity.distance:.2f}, "
            f"limit {familiarity.limit:.2f}, {familiarity.nearer_percent:.0f} % of them are nearer"
        )
        lines.append(("Images", how_far))
        lines += [("", unusual.sentence) for unusual in familiarity.unusual]
    return lines


def write_summary(segmented: Segmented, paths: Sequence[Path]) -> None:
    """Say on the terminal what was found, and where the files are."""
    result = segmented.result
    write_facts(
        [
            ("Outcome", result.outcome),
            ("", result.wording.sentence),
            ("Reason", result.reason),
            ("", result.detail or None),
            *_quality_lines(result),
            ("Took", duration(float(str(segmented.facts["seconds"])))),
            ("", segmented.facts["disclaimer"]),
        ]
    )
    if result.findings:
        write_table(
            "Findings",
            ("Subtype", ">Volume", ">Mean", ">Diameter", ">AI score"),
            [
                (
                    describe_finding(finding),
                    f"{finding.volume_ml:.1f} ml",
                    f"{finding.mean_hu:.0f} HU",
                    f"{finding.max_diameter_mm:.0f} mm",
                    f"{finding.certainty_percent:.0f} %",
                )
                for finding in result.findings
            ],
        )
    write_facts([("Files", paths[0].parent), *(("", path.name) for path in paths)])

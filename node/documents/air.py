"""What an Evidence Creator of the IHE profile AI Results (AIR) has to tell, made from the code."""

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset

from node.documents import results, selection
from node.documents.markdown import LINE, bullets, document, heading, table
from node.documents.objects import everything, name_of
from node.documents.site import Site
from node.documents.trees import GRAPHICS, code_of, concept_of, items_below, words
from node.results import codes

REGENERATE = "midline conformance --air --out docs/air-capabilities.md"
VOLUME_TEMPLATE, PLANE_TEMPLATE = "1411", "1410"
DRAWN = "outline of a lesion, box around it, line of the midline shift"
TRACKED = (
    "the same for segment, measurements, outline and box of a subtype; one of its own for each "
    "further lesion; kept over the generations of a study"
)


def air_capabilities(site: Site) -> str:
    """Write what an installation is capable of in the words of AIR.

    Parameters
    ----------
    site
        Whose settings are shown.

    Returns
    -------
    str
        Markdown; always the same for the same version and settings.
    """
    return document(
        f"<!-- Made by `{REGENERATE}`; whatever is edited here is lost. -->",
        heading(f"IHE AIR capabilities of {site.title}", level=1),
        "Profile: AI Results (AIR), actor Evidence Creator. The services with which results "
        "travel are in the [conformance statement](conformance.md).",
        *_algorithm(site),
        *_objects(site),
        *_primitives(site),
        *_statements(site),
        *_identification(site),
        *_codes(),
        *_limits(),
    )


def _algorithm(site: Site) -> Iterator[str]:
    subtypes = [terms.title.lower() for terms in codes.SUBTYPES.values()]
    yield heading("1 Algorithm", level=2)
    yield (
        "Finds intracranial haemorrhage in CT of the head without contrast medium, segments it by "
        f"subtype ({', '.join(subtypes)}), measures it, and says whether it is present. It is "
        "research software and not for diagnosis."
    )
    yield results.model_table(site)
    yield "Input: one axial series of a head. What it must be like:"
    yield selection.criteria()
    yield "What the program looks for in the voxels before it uses them:"
    yield selection.voxel_checks()


def _objects(site: Site) -> Iterator[str]:
    yield heading("2 Objects", level=2)
    yield results.object_table(site)
    yield (
        "The report has the root template TID 1500 and names the imaging procedure, not the "
        f"algorithm, as what was reported: {words(codes.CT_PROCEDURE)}. Secondary Capture is for "
        "eyes; AIR gives it no meaning for machines."
    )


def _primitives(site: Site) -> Iterator[str]:
    """Table of the result primitives, from what a report with a finding holds."""
    objects = everything(site.installation).objects
    report = next(each.dataset for each in objects if each.kind == "SR")
    volumes, planes = _groups(report, VOLUME_TEMPLATE), _groups(report, PLANE_TEMPLATE)
    key_objects = next(name_of(each.dataset.SOPClassUID) for each in objects if each.kind == "KOS")
    yield heading("3 Result primitives", level=2)
    yield table(
        ("Primitive", "Encoded as", "With"),
        (
            ("Qualitative findings", "coded statements on the case", _each(_statements_of(report))),
            ("Measurements", f"TID {VOLUME_TEMPLATE}", _each(_numbers(volumes))),
            (
                "Locations",
                f"TID {PLANE_TEMPLATE}, {_each(_graphics(planes))} on an image: {DRAWN}",
                _each([words(codes.IMAGE_REGION), words(codes.BOUNDED_BY), *_numbers(planes)]),
            ),
            (
                "Regions",
                f"TID {VOLUME_TEMPLATE}, a segment of a {name_of(_segmentation_class(volumes))}",
                words(codes.REFERENCED_SEGMENT),
            ),
            ("Parametric maps", "none", ""),
            (
                "Tracking identifiers",
                TRACKED,
                _each([words(codes.TRACKING_IDENTIFIER), words(codes.TRACKING_UNIQUE_IDENTIFIER)]),
            ),
            (
                "Image references",
                f"Image Library of the report; {key_objects} for a destination that asks for it",
                words(codes.OF_INTEREST),
            ),
        ),
    )
    yield "The tree of a report as it is written is in section 10 of the conformance statement."


def _statements(site: Site) -> Iterator[str]:
    yield heading("4 Statement on the case", level=2)
    yield (
        f"It stands in {words(codes.QUALITATIVE_EVALUATIONS)}, in every report, also where there "
        "is no result."
    )
    yield results.outcome_table(site)
    yield "Subtypes:"
    yield results.subtype_table()
    yield "Why a result is partial or missing:"
    yield results.reason_table()


def _identification(site: Site) -> Iterator[str]:
    yield heading("5 Identification of algorithm and equipment", level=2)
    yield bullets(
        "Name, version, manufacturer and Device UID of the model are the same in the Contributing "
        "Equipment Sequence of every object, in the device observer and the algorithm of each "
        "measurement of a report, and in the algorithm of each segment.",
        "The Device UID changes with the weights and with every setting that changes results.",
    )
    yield results.equipment_table(site)


def _codes() -> Iterator[str]:
    yield heading("6 Coded terms", level=2)
    yield results.standing_list()
    yield results.term_table()


def _limits() -> Iterator[str]:
    yield heading("7 What is not there", level=2)
    yield bullets(
        "Lesions are tracked over the generations of one study, not from study to study.",
        "Scores are of the model, in percent, and not probabilities.",
        "No result is ever a statement that there is no haemorrhage.",
        "AIR's requirements on display and retrieval concern other actors.",
    )


def _groups(report: Dataset, template: str) -> list[Dataset]:
    """Measurement groups of a report that are made after a template."""
    return [
        item
        for item in items_below(report)
        if item.get("ContentTemplateSequence")
        and item.ContentTemplateSequence[0].TemplateIdentifier == template
    ]


def _numbers(groups: Iterable[Dataset]) -> Iterator[str]:
    """Name and unit of each number of some groups."""
    for group in groups:
        for item in group.ContentSequence:
            if item.ValueType == "NUM":
                unit = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
                yield f"{_name(item)} in {words(code_of(unit))}"


def _statements_of(report: Dataset) -> Iterator[str]:
    """Name of each coded statement on the case."""
    for container in report.ContentSequence:
        if concept_of(container) == codes.QUALITATIVE_EVALUATIONS:
            items = (item for item in container.ContentSequence if item.ValueType == "CODE")
            yield from map(_name, items)


def _graphics(groups: Iterable[Dataset]) -> Iterator[str]:
    """Type of each region of some groups."""
    for group in groups:
        yield from (str(i.GraphicType) for i in items_below(group) if i.ValueType in GRAPHICS)


def _segmentation_class(groups: Iterable[Dataset]) -> str:
    return next(
        str(item.ReferencedSOPSequence[0].ReferencedSOPClassUID)
        for group in groups
        for item in group.ContentSequence
        if concept_of(item) == codes.REFERENCED_SEGMENT
    )


def _name(item: Dataset) -> str:
    concept = concept_of(item)
    return "" if concept is None else words(concept)


def _each(texts: Iterable[str]) -> str:
    return LINE.join(dict.fromkeys(texts))

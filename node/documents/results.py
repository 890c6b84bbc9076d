"""Parts of the documents on what is written: objects, outcomes, words, attributes, terms, model."""

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from config.errors import Reason
from node.documents.markdown import LINE, bullets, code, heading, table, verbatim
from node.documents.objects import (
    FINDING,
    Existence,
    Origin,
    attributes_of,
    everything,
    kinds_sent,
    name_of,
)
from node.documents.sentences import of_attributes, of_members
from node.documents.site import Site
from node.documents.specimens import (
    EVERYTHING,
    all_forms,
    all_statements,
    context_of,
    write_specimen,
)
from node.documents.terms import Standing, coded_terms
from node.documents.trees import code_of, outline, words
from node.implementation import IMPLEMENTATION_CLASS_UID
from node.results import codes
from node.results.forms import (
    REPORT_CLASSES,
    SEGMENTATION_CLASSES,
    Compression,
    Forms,
    ReportForm,
    SegmentationForm,
)
from node.results.identity import NAMESPACE
from node.results.outcomes import (
    PRESENCE_CODES,
    STATUS_CODES,
    SUMMARY_CODES,
    WORDINGS,
    Outcome,
    Presence,
)

KINDS: Mapping[str, str] = {
    "SEG": "segmentation: the mask",
    "PAGE": "summary page: one image for eyes, of every outcome",
    "OVERLAY": "overlay: the images that show a finding, outlines drawn in",
    "KOS": "key object selection: the images to look at",
    "SR": "structured report, of every outcome",
}
"""Kinds of objects, for people."""
NOT_GIVEN = (Reason.EXPIRED,)
"""Reasons that have a code, and that nothing in this version gives."""


def object_table(site: Site) -> str:
    """Table of the objects: class, transfer syntaxes of the files, who gets them."""
    rows = [
        (
            each.kind,
            KINDS[each.kind],
            f"{name_of(each.sop_class_uid)}{LINE}{code(each.sop_class_uid)}",
            LINE.join(map(name_of, each.transfer_syntaxes)),
            "by default" if each.by_default else "if a destination asks, or refuses another form",
        )
        for each in kinds_sent(site.installation)
    ]
    columns = ("Kind", "What it is", "SOP class", "Transfer syntaxes of the files", "Sent")
    return table(columns, rows)


def series_table(site: Site) -> str:
    """Table of the series of each kind, from what a finding brings about in any form."""
    first, later = (
        context_of(site.installation, everything(site.installation).sources[0], generation=number)
        for number in (1, 2)
    )
    step = later.series_number(0) - first.series_number(0)
    rows: dict[tuple[str, int], tuple[str, ...]] = {}
    for forms in (EVERYTHING, *all_forms()):
        objects = write_specimen(site.installation, forms, *FINDING).objects
        counts = Counter(each.kind for each in objects)
        for written in objects:
            dataset = written.dataset
            rows[written.kind, dataset.SeriesNumber] = (
                written.kind,
                dataset.Modality,
                str(dataset.SeriesNumber),
                code(dataset.SeriesDescription),
                "1" if counts[written.kind] == 1 else "1 for each image that shows a finding",
            )
    columns = ("Kind", "Modality", "Series Number", "Series Description (example)", "Instances")
    return (
        f"{table(columns, rows.values())}\n\nEach later generation of a study's results has Series "
        f"Numbers that are {step} higher."
    )


def forms_table() -> str:
    """Table of the forms of mask and report, richest first."""
    rows = [
        *_form_rows("mask", SegmentationForm, SEGMENTATION_CLASSES),
        *_form_rows("report", ReportForm, REPORT_CLASSES),
        *_form_rows("compression of the mask", Compression, {}),
    ]
    options = of_attributes(Forms)
    wanted = Forms()
    for name in ("keep_empty_frames", "summary_page", "overlay", "key_objects"):
        default = "on" if getattr(wanted, name) else "off"
        rows.append((f"{code(name)}, {default} by default", "", "", options[name]))
    return table(("Of what", "Form", "SOP class", "Remark"), rows)


def _form_rows(
    name: str, forms: type[StrEnum], classes: Mapping[Any, str]
) -> Iterator[tuple[str, ...]]:
    told = of_members(forms)
    for form in forms:
        uid = classes.get(form)
        sop_class = "" if uid is None else f"{name_of(uid)} {code(uid)}"
        yield name, code(form.value), sop_class, told.get(form.name, "")


def outcome_table(site: Site) -> str:
    """Table of the outcomes: codes, and the objects that a destination gets by default."""
    told = of_members(Outcome)
    specimens = all_statements(site.installation, Forms())
    rows = []
    for (outcome, presence), specimen in specimens.items():
        summary = SUMMARY_CODES.get(outcome)
        kinds = dict.fromkeys(each.kind for each in specimen.objects)
        rows.append(
            (
                outcome.value,
                told[outcome.name],
                words(STATUS_CODES[outcome]),
                "none" if summary is None else words(summary),
                words(PRESENCE_CODES[presence]),
                ", ".join(kinds),
            )
        )
    columns = (
        "Outcome",
        "Meaning",
        words(codes.SUMMARY_OF_DETECTIONS),
        words(codes.CAD_SUMMARY),
        words(codes.INTRACRANIAL_HEMORRHAGE),
        "Objects by default",
    )
    return table(columns, rows)


def wording_table() -> str:
    """Table of the words that people read."""
    rows = [
        (
            outcome.value,
            presence.value,
            code(wording.word),
            wording.headline,
            wording.sentence,
        )
        for (outcome, presence), wording in WORDINGS.items()
    ]
    columns = ("Outcome", "Haemorrhage", "Word in the series", "Headline", "Sentence")
    return table(columns, rows)


def subtype_table() -> str:
    """Table of the subtypes: how each is named, where it is said to lie, its colour."""
    rows = [
        (
            code(terms.label),
            terms.title,
            words(terms.finding),
            LINE.join(map(words, terms.sites)),
            words(terms.item),
            ", ".join(map(str, terms.rgb)),
        )
        for terms in codes.SUBTYPES.values()
    ]
    columns = (
        "Segment Label",
        "Subtype",
        "Property Type, Finding",
        "Finding Sites, Anatomic Region the last",
        "Present or absent item",
        "Display colour, sRGB",
    )
    return table(columns, rows)


def reason_table() -> str:
    """Table of the reasons why a result is partial or missing."""
    told = of_members(Reason)
    rows = [
        (words(term), "never by this version" if reason in NOT_GIVEN else told[reason.name])
        for reason, term in codes.REASONS.items()
    ]
    return table((f"Value of {words(codes.REASON)}", "When"), rows)


def term_table() -> str:
    """Table of every coded term of the node, and how far it is confirmed."""
    rows = [
        (
            code(term.code.value),
            term.code.scheme_designator,
            term.code.meaning,
            _standing(term.standing, codes.CONFIRMED_ELSEWHERE.get(term.code)),
        )
        for term in coded_terms()
    ]
    return table(("Value", "Scheme", "Meaning", "Confirmed"), rows)


def standing_list() -> str:
    """Say what the standings of a term mean."""
    told = of_members(Standing)
    shown = [each for each in Standing if each is not Standing.UNKNOWN]
    return bullets(*(f"*{each.value}*: {told[each.name]}" for each in shown))


def _standing(standing: Standing, source: str | None) -> str:
    return standing.value if source is None else f"{standing.value}: {source}"


def scheme_table(site: Site) -> str:
    """Table of the private coding scheme, as every report declares it."""
    report = everything(site.installation).objects[-1].dataset
    (item,) = report.CodingSchemeIdentificationSequence
    rows = [(element.name, code(element.value)) for element in item]
    return table(("Attribute", "Value"), rows)


def equipment_table(site: Site) -> str:
    """Table of the contributing equipment of a report: the model, the library, the scanner."""
    specimen = everything(site.installation)
    report, scanner = specimen.objects[-1].dataset, specimen.sources[0]
    keywords = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceUID")
    rows = [
        (
            words(code_of(item.PurposeOfReferenceCodeSequence[0])),
            *(_unless_of_scanner(item, keyword, scanner) for keyword in keywords),
            item.get("ContributionDescription", ""),
        )
        for item in report.ContributingEquipmentSequence
    ]
    names = [dictionary_description(keyword) for keyword in keywords]
    return table(("Purpose of Reference", *names, "Contribution Description"), rows)


def _unless_of_scanner(item: Dataset, keyword: str, scanner: Dataset) -> str:
    value = str(item.get(keyword, ""))
    return "as in the images" if value and value == scanner.get(keyword) else value


def identity_table(site: Site) -> str:
    """Table of what the objects say about the installation."""
    node = site.installation.node
    return table(
        ("Attribute", "Value", "From"),
        (
            ("Manufacturer", node.manufacturer, code("identity.manufacturer")),
            ("Manufacturer's Model Name", node.product, code("identity.product")),
            ("Software Versions", node.version, "the installed version"),
            ("Device Serial Number", node.serial, code("identity.serial")),
            (
                "Content Qualification",
                node.content_qualification.value,
                "PRODUCT only with a recorded approval (`identity.approved_for_diagnosis`)",
            ),
            ("Disclaimer in every object", node.disclaimer, "shorter with a recorded approval"),
            ("Implementation Class UID (files)", IMPLEMENTATION_CLASS_UID, "fixed"),
            (
                "Implementation Version Name (files)",
                everything(site.installation)
                .objects[0]
                .dataset.file_meta.ImplementationVersionName,
                "the installed version",
            ),
            ("Namespace of UUIDv5 UIDs", str(NAMESPACE), "fixed"),
        ),
    )


def model_table(site: Site) -> str:
    """Table of the model: what it is called, and where its scores become decisions."""
    card, model, thresholds = site.card, site.installation.model, site.thresholds
    least = ", ".join(f"{name} {ml:g}" for name, ml in thresholds.minimum_ml.items())
    return table(
        ("Property", "Value"),
        (
            ("Name", code(model.name)),
            ("Version", code(model.version)),
            ("Manufacturer", model.manufacturer),
            ("Network", code(card.network)),
            ("Digest of the weights, SHA-256", code(card.weights_sha256)),
            ("Device UID", code(model.device_uid)),
            ("Negative below a score of", f"{100 * thresholds.lower_score:g} %"),
            ("Positive from a score of", f"{100 * thresholds.upper_score:g} %"),
            ("Least volume that is reported, ml", least),
            ("Data", card.data),
        ),
    )


def attribute_tables(site: Site, *, level: int) -> Iterator[str]:
    """Table of the attributes of each kind of object."""
    for kind, title in KINDS.items():
        yield heading(f"{kind}: {title}", level=level)
        rows = [
            (each.name, each.tag, each.vr, each.existence, each.origin, _values(each.value))
            for each in attributes_of(kind, site.installation)
        ]
        yield table(("Attribute", "Tag", "VR", "Presence", "Source", "Value"), rows)


def attribute_legend() -> str:
    """Say what the words of the tables of attributes mean."""
    return bullets(
        *(
            f"{code(member.value)}: {sentence}"
            for kind in (Existence, Origin)
            for member, sentence in zip(kind, of_members(kind).values(), strict=True)
        )
    )


def _values(text: str) -> str:
    return LINE.join(code(value) for value in text.split("; ")) if text else ""


def report_outline(site: Site) -> str:
    """Content tree of a report with a finding, as it is written."""
    return verbatim(outline(everything(site.installation).objects[-1].dataset))


def key_object_outline(site: Site) -> str:
    """Content tree of a Key Object Selection, as it is written."""
    objects = everything(site.installation).objects
    return verbatim(outline(next(each.dataset for each in objects if each.kind == "KOS")))


def text_outline(site: Site) -> str:
    """Content tree of a text report, as it is written."""
    forms = Forms(report=ReportForm.BASIC_TEXT)
    specimen = write_specimen(site.installation, forms, *FINDING)
    return verbatim(outline(specimen.objects[-1].dataset))


def absent_outline(site: Site) -> str:
    """Content tree of a report without a finding, as it is written."""
    statements = all_statements(site.installation, Forms())
    negative = statements[Outcome.NEGATIVE, Presence.ABSENT]
    return verbatim(outline(negative.objects[-1].dataset))

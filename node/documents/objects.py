"""What the specimens hold: kinds of objects, and where the value of each attribute comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pydicom.datadict import dictionary_description
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from node.documents.specimens import (
    EVERYTHING,
    Installation,
    Specimen,
    all_forms,
    all_statements,
    other_installation,
    write_specimen,
)
from node.results.forms import Forms, LabelMapSegmentationStorage
from node.results.identity import NodeIdentity
from node.results.outcomes import Outcome, Presence

FINDING = (Outcome.PARTIAL, Presence.PRESENT)
"""The statement that has every kind of object and every kind of content item but one."""
MOST_VALUES, MOST_CHARACTERS = 8, 100
SETTINGS: Mapping[str, str] = {
    "ae_title": "node.ae_title",
    "manufacturer": "identity.manufacturer",
    "product": "identity.product",
    "serial": "identity.serial",
    "content_qualification": "identity.content_qualification",
    "version": "the installed version",
}
"""What the objects say about the installation, and where it comes from."""
_NAMES: Mapping[str, str] = {LabelMapSegmentationStorage: "Label Map Segmentation Storage"}
"""Of UIDs that pydicom does not name."""


class Existence(StrEnum):
    """Whether an attribute is there, in the words of PS3.2."""

    ALWAYS = "ALWAYS"
    """Always there, with a value."""
    VNAP = "VNAP"
    """Always there; the value may be absent."""
    ANAP = "ANAP"
    """The attribute may be absent."""
    EMPTY = "EMPTY"
    """Always there, never with a value."""


class Origin(StrEnum):
    """Where the value of an attribute comes from."""

    FIXED = "FIXED"
    """One of the values shown, whatever the patient and the installation."""
    COPY = "COPY"
    """From the analysed images, as it came."""
    CONFIG = "CONFIG"
    """From the settings of the site, or the version."""
    AUTO = "AUTO"
    """Made by the node for this object."""


@dataclass(frozen=True)
class Kind:
    """A kind of object that is sent.

    Attributes
    ----------
    kind
        As deliveries are listed.
    sop_class_uid
        Its SOP class.
    transfer_syntaxes
        In which it is stored, the usual one first.
    by_default
        Whether a destination gets it without asking.
    """

    kind: str
    sop_class_uid: str
    transfer_syntaxes: tuple[str, ...]
    by_default: bool


@dataclass(frozen=True)
class Attribute:
    """An attribute of an object, at its top level."""

    name: str
    tag: str
    vr: str
    existence: Existence
    origin: Origin
    value: str


def name_of(uid: str) -> str:
    """Name of a SOP class or transfer syntax."""
    return _NAMES.get(uid) or UID(uid).name


def kinds_sent(installation: Installation) -> tuple[Kind, ...]:
    """List the kinds of objects that are written in any form, in the order of sending."""
    found: dict[tuple[str, str], Kind] = {}
    for forms in (Forms(), EVERYTHING, *all_forms()):
        for written in write_specimen(installation, forms, *FINDING).objects:
            meta = written.dataset.file_meta
            key = (written.kind, str(written.dataset.SOPClassUID))
            known = found.get(key) or Kind(*key, (), by_default=forms == Forms())
            syntaxes = dict.fromkeys((*known.transfer_syntaxes, str(meta.TransferSyntaxUID)))
            found[key] = replace(known, transfer_syntaxes=tuple(syntaxes))
    order = list(dict.fromkeys(each.kind for each in everything(installation).objects))
    return tuple(sorted(found.values(), key=lambda each: order.index(each.kind)))


def everything(installation: Installation) -> Specimen:
    """Report a finding by every kind of object."""
    return write_specimen(installation, EVERYTHING, *FINDING)


def attributes_of(kind: str, installation: Installation) -> tuple[Attribute, ...]:
    """List the attributes of a kind of object, by tag.

    Parameters
    ----------
    kind
        One of those that `everything` has.
    installation
        Whose objects are compared with those of another one, and with those of bare images.
    """
    other = other_installation(installation)
    bare = replace(installation, bare=True)
    groups = [_Group.of(kind, each) for each in (installation, other, bare)]
    datasets = [dataset for group in groups for dataset in group.datasets]
    tags = sorted({tag for dataset in datasets for tag in dataset.keys()})  # noqa: SIM118
    described = []
    for tag in tags:
        elements = [dataset.get(tag) for dataset in datasets]
        element = next(each for each in elements if each is not None)
        origin, value = _origin(element, groups[0], groups[1])
        described.append(
            Attribute(
                name=dictionary_description(tag) if not tag.is_private else str(tag),
                tag=f"({tag.group:04X},{tag.element:04X})",
                vr=element.VR,
                existence=_existence(elements),
                origin=origin,
                value=value,
            )
        )
    return tuple(described)


@dataclass(frozen=True, eq=False)
class _Group:
    """Objects of one kind by one installation, one for each way to report, and their sources."""

    node: NodeIdentity
    sources: tuple[Dataset, ...]
    datasets: tuple[Dataset, ...]

    @classmethod
    def of(cls, kind: str, installation: Installation) -> "_Group":
        specimens = all_statements(installation).values()
        first_ones = [
            next(each.dataset for each in specimen.objects if each.kind == kind)
            for specimen in specimens
            if any(each.kind == kind for each in specimen.objects)
        ]
        return cls(installation.node, next(iter(specimens)).sources, tuple(first_ones))

    def values(self, keyword: str) -> tuple[str, ...]:
        """Texts of an attribute, each once, in the order of the specimens."""
        held = (dataset for dataset in self.datasets if keyword in dataset)
        return tuple(dict.fromkeys(_text(dataset[keyword]) for dataset in held))

    def copies(self, keyword: str) -> bool:
        """Whether all its values are those of the images."""
        held = {_text(source[keyword]) for source in self.sources if keyword in source}
        return set(self.values(keyword)) <= held


def _existence(elements: Sequence[DataElement | None]) -> Existence:
    if any(element is None for element in elements):
        return Existence.ANAP
    empty = [element is not None and element.is_empty for element in elements]
    if all(empty):
        return Existence.EMPTY
    return Existence.VNAP if any(empty) else Existence.ALWAYS


def _origin(element: DataElement, ours: _Group, theirs: _Group) -> tuple[Origin, str]:
    """Tell where a value comes from by what two installations have in common."""
    keyword = element.keyword
    if element.VR in ("SQ", "OB", "OW"):
        return Origin.AUTO, ""
    one, two = ours.values(keyword), theirs.values(keyword)
    if one != two and ours.copies(keyword) and theirs.copies(keyword):
        return Origin.COPY, ""
    for name, setting in SETTINGS.items():
        told = [(str(getattr(group.node, name)),) for group in (ours, theirs)]
        if [one, two] == told and one != two:
            return Origin.CONFIG, setting
    if set(one) == set(two) and len(one) <= MOST_VALUES:
        return Origin.FIXED, "; ".join(text[:MOST_CHARACTERS] for text in one if text)
    return Origin.AUTO, ""


def _text(element: DataElement) -> str:
    value = element.value
    if element.VM > 1:
        return "\\".join(map(str, value))
    return "" if value is None else str(value)

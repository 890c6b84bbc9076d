"""Who made an object, from which input, and under which UIDs.

Every UID and date follows from the job, so that a repeated step writes the same bytes.
"""

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import highdicom as hd
from pydicom.uid import RE_VALID_UID

from node.implementation import CONTRIBUTION
from node.results import codes
from node.results.outcomes import APPROVED_DISCLAIMER, DISCLAIMER

NAMESPACE = uuid.UUID("5b1f6c1e-9a53-5d0a-8a3e-2c5d1f0b7a46")
"""Namespace of every UUIDv5 of the node. It never changes: stable UIDs depend on it."""

MOST_AE_TITLE_CHARACTERS = 16
MOST_LONG_STRING_CHARACTERS = 64
MOST_UID_CHARACTERS = 64

SERIES_SUFFIX = " - NOT FOR DIAGNOSIS"


class ContentQualification(StrEnum):
    """Content Qualification (0018,9004), PS3.3 C.8.13.2.1.1."""

    RESEARCH = "RESEARCH"
    PRODUCT = "PRODUCT"
    SERVICE = "SERVICE"
    """For phantoms."""


class SeriesNumber:
    """Series number of each kind of object in the first generation; later ones add ten."""

    SEGMENTATION = 9001
    REPORT = 9002
    KEY_OBJECTS = 9003
    SUMMARY_PAGE = 9005
    TEXT_REPORT = 9006
    OVERLAY = 9007


@dataclass(frozen=True)
class NodeIdentity:
    """The installation that writes the objects.

    Attributes
    ----------
    ae_title
        Its application entity title.
    manufacturer, product, version, serial
        Manufacturer, Manufacturer's Model Name, Software Versions and Device Serial Number; none
        may be empty (PS3.3 C.7.5.2, Enhanced General Equipment), and all are ASCII, since objects
        keep the character set of the source.
    content_qualification
        PRODUCT needs a recorded approval.
    approved
        Whether such an approval is recorded; without it every object says that it is not for
        diagnosis.
    first_series_number
        Series Number of the Segmentation of the first generation; the others keep their distance.
    description
        First words of every Series Description.
    """

    ae_title: str
    manufacturer: str
    product: str
    version: str
    serial: str
    content_qualification: ContentQualification = ContentQualification.RESEARCH
    approved: bool = False
    first_series_number: int = SeriesNumber.SEGMENTATION
    description: str = "AI ICH"

    def __post_init__(self) -> None:
        """Refuse what the objects could not carry."""
        _check_text("AE title", self.ae_title, MOST_AE_TITLE_CHARACTERS)
        for name in ("manufacturer", "product", "version", "serial"):
            _check_text(name, getattr(self, name), MOST_LONG_STRING_CHARACTERS)
        if self.approved != (self.content_qualification is ContentQualification.PRODUCT):
            raise ValueError(
                f"content qualification {self.content_qualification} does not go with "
                f"approved = {self.approved}"
            )

    @property
    def disclaimer(self) -> str:
        """The sentence that every object carries."""
        return APPROVED_DISCLAIMER if self.approved else DISCLAIMER

    def series_description(self, text: str) -> str:
        """Series Description of an object, with the warning unless the node is approved.

        Parameters
        ----------
        text
            What kind of object it is, with the word of the outcome: ``report POSITIVE``.
        """
        described = f"{self.description} {text}"
        return described if self.approved else described + SERIES_SUFFIX


@dataclass(frozen=True)
class ModelIdentity:
    """The trained model, as IHE AIR 6.5.3.1 wants it named alike in every place.

    Attributes
    ----------
    name, version, manufacturer
        The same in the contributing equipment, the device observer, the algorithm of the segments
        and the algorithm of the measurements.
    device_uid
        One UID for its weights and every setting that changes results: `model_device_uid`.
    """

    name: str
    version: str
    manufacturer: str
    device_uid: str

    def __post_init__(self) -> None:
        """Refuse what the objects could not carry."""
        for name in ("name", "version", "manufacturer"):
            _check_text(f"model {name}", getattr(self, name), MOST_LONG_STRING_CHARACTERS)
        if (
            not re.fullmatch(RE_VALID_UID, self.device_uid)
            or len(self.device_uid) > MOST_UID_CHARACTERS
        ):
            raise ValueError(f"the model's device UID {self.device_uid!r} is no UID")


def _check_text(name: str, text: str, most_characters: int) -> None:
    if not text.strip() or not text.isascii() or not text.isprintable() or "\\" in text:
        raise ValueError(f"{name} {text!r} is empty or not plain ASCII")
    if len(text) > most_characters:
        raise ValueError(f"{name} {text!r} is longer than {most_characters} characters")


def _uid(*parts: object) -> str:
    """Make the UID that belongs to some parts: ``2.25.`` and a UUIDv5 (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(NAMESPACE, '|'.join(map(str, parts))).int}"


def model_device_uid(weights_sha256: str, settings_digest: str) -> str:
    """UID of a model; another one for other weights or for settings that change results."""
    return _uid("model", weights_sha256, settings_digest)


def digest_of_instances(instances: Iterable[tuple[str, str]]) -> str:
    """Digest of an input; the order of its instances does not matter.

    Parameters
    ----------
    instances
        SOP Instance UID and digest of the pixels of each instance, so that a lossless re-encoding
        leaves the result's UIDs as they are.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    lines = sorted(f"{sop_instance_uid}:{pixels}\n" for sop_instance_uid, pixels in instances)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class ResultContext:
    """Everything that fixes the UIDs and dates of one result.

    Attributes
    ----------
    node, model
        Who made it.
    study_instance_uid, series_instance_uid
        The analysed study and series; without an analysed series, any of the study.
    input_digest
        Digest of the analysed instances: `digest_of_instances`.
    created
        When the job was recorded, with its zone. Objects state it in the zone of the source images
        where those name one, else in its own.
    generation
        1 for the first result of a study, one more for each that replaces it.
    """

    node: NodeIdentity
    model: ModelIdentity
    study_instance_uid: str
    series_instance_uid: str
    input_digest: str
    created: datetime
    generation: int = 1

    def __post_init__(self) -> None:
        """Refuse a time without zone, and generations that do not count from 1."""
        if self.created.tzinfo is None:
            raise ValueError("the time of creation has no zone")
        if self.generation < 1:
            raise ValueError(f"generation {self.generation} is less than 1")

    def uid(self, kind: str) -> str:
        """UID of an object or series of this result.

        Parameters
        ----------
        kind
            Kind and form, for example ``SR-instance``. Forms of one result with different content,
            made for different destinations, must differ in it.

        Returns
        -------
        str
            The same for the same input, model and generation.
        """
        return _uid(
            kind,
            self.study_instance_uid,
            self.series_instance_uid,
            self.input_digest,
            self.model.device_uid,
            self.generation,
        )

    def tracking_uid(self, label: str) -> str:
        """Tracking UID of a lesion label; kept over the generations of a study."""
        return _uid("tracking", self.study_instance_uid, label)

    def series_number(self, base: int) -> int:
        """Series number of this generation; `base` is one of `SeriesNumber`."""
        offset = base - SeriesNumber.SEGMENTATION
        return self.node.first_series_number + offset + 10 * (self.generation - 1)

    @property
    def constructor_arguments(self) -> Mapping[str, Any]:
        """What every highdicom constructor is told about the equipment."""
        return MappingProxyType(
            {
                "manufacturer": self.node.manufacturer,
                "manufacturer_model_name": self.node.product,
                "software_versions": self.node.version,
                "device_serial_number": self.node.serial,
                "content_qualification": self.node.content_qualification.value,
                "contributing_equipment": [_model_equipment(self.model)],
                "specific_character_set": None,  # that of the source is set by `finish`
            }
        )


def _model_equipment(model: ModelIdentity) -> hd.ContributingEquipment:
    """Contributing Equipment item of the model (IHE AIR 6.5.3.1)."""
    item = hd.ContributingEquipment(
        manufacturer=model.manufacturer,
        purpose_of_reference=codes.PROCESSING_EQUIPMENT,
        manufacturer_model_name=model.name,
        software_versions=model.version,
        contribution_description=CONTRIBUTION,
    )
    item.DeviceUID = model.device_uid  # highdicom 0.28 has no argument for it
    return item

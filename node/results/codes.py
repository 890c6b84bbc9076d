"""Every coded term that the node writes or understands, in one place.

Codes are compared by value and scheme, never by meaning (PS3.3 section 8.3). Most terms are in
pydicom's copy of the DICOM dictionary, and a test compares them. Those in `UNVERIFIED` are not:
their numbers come from public SNOMED CT extracts, and a terminologist signs them off before a
product uses them. Terms of the scheme 99MIDLINE are private; each report declares that scheme.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from config.errors import Reason
from ml.findings import Side
from ml.volume import Subtype

PRIVATE_SCHEME = "99MIDLINE"
"""Designator of the private coding scheme (PS3.16 section 8 wants the prefix ``99``)."""
PRIVATE_SCHEME_NAME = "Midline private codes"
PRIVATE_SCHEME_VERSION = "1"

# ---------------------------------------------------------------- morphology, anatomy, laterality

MORPHOLOGICALLY_ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
HEMORRHAGE = Code("50960005", "SCT", "Hemorrhage")
BRAIN = Code("12738006", "SCT", "Brain")
INTRACRANIAL = Code("1101003", "SCT", "Intracranial")
BRAIN_VENTRICLE = Code("35764002", "SCT", "Brain ventricle")
SUBARACHNOID_SPACE = Code("35951006", "SCT", "Subarachnoid space")
EPIDURAL_SPACE = Code("EPIDURALSPACE", PRIVATE_SCHEME, "Epidural space")
SUBDURAL_SPACE = Code("SUBDURALSPACE", PRIVATE_SCHEME, "Subdural space")

SIDES: Mapping[Side, Code] = MappingProxyType(
    {
        Side.LEFT: Code("7771000", "SCT", "Left"),
        Side.RIGHT: Code("24028007", "SCT", "Right"),
        Side.BOTH: Code("51440002", "SCT", "Bilateral"),
    }
)
"""Laterality, CID 244."""

# ---------------------------------------------------------------- haemorrhage and its presence

INTRACRANIAL_HEMORRHAGE = Code("1386000", "SCT", "Intracranial hemorrhage")
CEREBRAL_HEMORRHAGE = Code("274100004", "SCT", "Cerebral hemorrhage")
EPIDURAL_HEMORRHAGE = Code("82999001", "SCT", "Epidural intracranial hemorrhage")
SUBDURAL_HEMORRHAGE = Code("35486000", "SCT", "Subdural hemorrhage")
SUBARACHNOID_HEMORRHAGE = Code("21454007", "SCT", "Subarachnoid hemorrhage")
INTRAVENTRICULAR_HEMORRHAGE = Code("IVH", PRIVATE_SCHEME, "Intraventricular hemorrhage")

UNVERIFIED = (
    CEREBRAL_HEMORRHAGE,
    EPIDURAL_HEMORRHAGE,
    SUBDURAL_HEMORRHAGE,
    SUBARACHNOID_HEMORRHAGE,
)
"""SNOMED CT terms that the DICOM dictionary does not confirm."""

PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
UNDETERMINED = Code("373068000", "SCT", "Undetermined")

# ---------------------------------------------------------------- how the processing ended

SUMMARY_OF_DETECTIONS = Code("111064", "DCM", "Summary of Detections")
SUCCEEDED = Code("111222", "DCM", "Succeeded")
PARTIALLY_SUCCEEDED = Code("111223", "DCM", "Partially Succeeded")
FAILED = Code("111224", "DCM", "Failed")
NOT_ATTEMPTED = Code("111225", "DCM", "Not Attempted")

CAD_SUMMARY = Code("111017", "DCM", "CAD Processing and Findings Summary")
ALL_SUCCEEDED_WITHOUT_FINDINGS = Code("111241", "DCM", "All algorithms succeeded; without findings")
ALL_SUCCEEDED_WITH_FINDINGS = Code("111242", "DCM", "All algorithms succeeded; with findings")

REASON = Code("REASON", PRIVATE_SCHEME, "Reason for incomplete or missing result")
REASONS: Mapping[Reason, Code] = MappingProxyType(
    {
        Reason.FORMAT: Code("110521", "DCM", "Objects incorrectly formatted"),
        Reason.TYPES: Code("110522", "DCM", "Object Types not supported"),
        Reason.INCOMPLETE: Code("110523", "DCM", "Object Set incomplete"),
        Reason.RESOURCE: Code("110527", "DCM", "Resource inadequate"),
        Reason.EQUIPMENT: Code("110501", "DCM", "Equipment failure"),
        Reason.QUALITY: Code("110531", "DCM", "Insufficient quality for interpretation"),
        Reason.EXPIRED: Code("110533", "DCM", "Workitem expired"),
        Reason.BORDERLINE: Code(
            "BORDERLINE", PRIVATE_SCHEME, "Score between the decision thresholds"
        ),
        Reason.UNSPECIFIED: Code("110513", "DCM", "Discontinued for unspecified reason"),
    }
)
"""Value of `REASON` for each reason; the numbers are those of CID 9300 and following."""

# ---------------------------------------------------------------- quality of the images

IMAGE_QUALITY = Code("111101", "DCM", "Image Quality")
LIKE_TRAINING = Code("LIKETRAINING", PRIVATE_SCHEME, "Like the images of the model's training")
UNLIKE_TRAINING = Code(
    "UNLIKETRAINING", PRIVATE_SCHEME, "Unlike the images of the model's training"
)
TRAINING_DISTANCE = Code("TRAINDISTANCE", PRIVATE_SCHEME, "Distance to the training data")
TRAINING_LIMIT = Code("TRAINLIMIT", PRIVATE_SCHEME, "Largest usual distance to the training data")

# ---------------------------------------------------------------- measurements and units

VOLUME = Code("118565006", "SCT", "Volume")
AREA = Code("42798000", "SCT", "Area")
DIAMETER = Code("81827009", "SCT", "Diameter")
MAXIMUM = Code("56851009", "SCT", "Maximum")
MEAN = Code("373098007", "SCT", "Mean")
ATTENUATION_COEFFICIENT = Code("112031", "DCM", "Attenuation Coefficient")
MIDLINE_SHIFT = Code("MLS", PRIVATE_SCHEME, "Midline shift")
MIDLINE_SHIFT_TRACKING = "ICH-MLS"
"""Tracking Identifier of its group."""
CERTAINTY_OF_FINDING = Code("111012", "DCM", "Certainty of Finding")
MILLILITRE = Code("ml", "UCUM", "milliliter")
MILLIMETRE = Code("mm", "UCUM", "mm")
SQUARE_MILLIMETRE = Code("mm2", "UCUM", "square millimeter")
HOUNSFIELD_UNIT = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = Code("%", "UCUM", "Percent")
NO_UNITS = Code("1", "UCUM", "no units")

# ---------------------------------------------------------------- structure of the documents

IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER = Code("112040", "DCM", "Tracking Unique Identifier")
REFERENCED_SEGMENT = Code("121191", "DCM", "Referenced Segment")
SOURCE_SERIES_FOR_SEGMENTATION = Code("121232", "DCM", "Source series for segmentation")
IMAGE_REGION = Code("111030", "DCM", "Image Region")
BOUNDED_BY = Code("75958009", "SCT", "Bounded by")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
LATERALITY = Code("272741003", "SCT", "Laterality")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
DEVICE_OBSERVER_UID = Code("121012", "DCM", "Device Observer UID")
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
COMMENT = Code("121106", "DCM", "Comment")
OF_INTEREST = Code("113000", "DCM", "Of Interest")
DIAGNOSTIC_IMAGING_REPORT = Code("18748-4", "LN", "Diagnostic Imaging Report")
CONCLUSIONS = Code("121076", "DCM", "Conclusions")
CONCLUSION = Code("121077", "DCM", "Conclusion")
FINDINGS = Code("121070", "DCM", "Findings")
FINDING = Code("121071", "DCM", "Finding")
DEVICE = Code("121007", "DCM", "Device")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

CT_PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")
"""Procedure reported: the imaging procedure, never the algorithm (IHE AIR).

The only CT code of CID 100 that is no perfusion study. Codes of a head CT (LOINC 24725-4, SNOMED CT
303653007) are not in that context group; the site's own codes go to the header of the report.
"""

CONFIRMED_ELSEWHERE: Mapping[Code, str] = MappingProxyType(
    {
        MILLILITRE: "a unit of UCUM; the dictionary has it only within others (mg/ml)",
        QUALITATIVE_EVALUATIONS: "row 12 of TID 1500 in PS3.16",
    }
)
"""Terms that the dictionary lacks, and where they stand instead."""


@dataclass(frozen=True)
class SubtypeTerms:
    """How one subtype is named on the wire, on the screen and in text.

    Attributes
    ----------
    label
        Segment Label, and the stem of the tracking identifier.
    title
        Words for people.
    finding
        Segmented Property Type, and Finding of the measurement groups.
    item
        Concept name of the present/absent item of the whole case.
    sites
        Finding sites of the measurement groups, most exact first, since a viewer may show the first
        one and no finding. The last one is the anatomic region of the segment.
    rgb
        Display colour, sRGB, 0 to 255.
    """

    label: str
    title: str
    finding: Code
    item: Code
    sites: tuple[Code, ...]
    rgb: tuple[int, int, int]

    @property
    def tracking_identifier(self) -> str:
        """Tracking ID of the segment and Tracking Identifier of the groups of the subtype."""
        return f"ICH-{self.label}"


SUBTYPES: Mapping[Subtype, SubtypeTerms] = MappingProxyType(
    {
        Subtype.IPH: SubtypeTerms(
            label="IPH",
            title="Intraparenchymal",
            finding=CEREBRAL_HEMORRHAGE,
            item=CEREBRAL_HEMORRHAGE,
            sites=(BRAIN,),
            rgb=(230, 25, 75),
        ),
        Subtype.IVH: SubtypeTerms(
            label="IVH",
            title="Intraventricular",
            finding=HEMORRHAGE,  # with the site Brain ventricle: no confirmed single code
            item=INTRAVENTRICULAR_HEMORRHAGE,
            sites=(BRAIN_VENTRICLE,),
            rgb=(255, 165, 0),
        ),
        Subtype.EDH: SubtypeTerms(
            label="EDH",
            title="Epidural",
            finding=EPIDURAL_HEMORRHAGE,
            item=EPIDURAL_HEMORRHAGE,
            sites=(EPIDURAL_SPACE, INTRACRANIAL),
            rgb=(0, 130, 200),
        ),
        Subtype.SDH: SubtypeTerms(
            label="SDH",
            title="Subdural",
            finding=SUBDURAL_HEMORRHAGE,
            item=SUBDURAL_HEMORRHAGE,
            sites=(SUBDURAL_SPACE, INTRACRANIAL),
            rgb=(60, 180, 75),
        ),
        Subtype.SAH: SubtypeTerms(
            label="SAH",
            title="Subarachnoid",
            finding=SUBARACHNOID_HEMORRHAGE,
            item=SUBARACHNOID_HEMORRHAGE,
            sites=(SUBARACHNOID_SPACE,),
            rgb=(240, 50, 230),
        ),
    }
)
"""The terms of each subtype."""


def is_code(item: Dataset, code: Code) -> bool:
    """Tell whether an item of a code sequence means a code.

    Parameters
    ----------
    item
        An item with the Code Sequence Macro (PS3.3 Table 8.8-1).
    code
        The code; its meaning is not compared.
    """
    return (item.get("CodeValue"), item.get("CodingSchemeDesignator")) == (
        code.value,
        code.scheme_designator,
    )

"""What the node does not offer: said in the documents, and looked for in the code by a test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Absent:
    """A service that may be expected and is not there.

    Attributes
    ----------
    name
        What it is.
    remark
        What follows for the site.
    signs
        Regular expressions; any of them in the code of the node would be a sign that it is there.
    """

    name: str
    remark: str
    signs: tuple[str, ...]


NOT_OFFERED = (
    Absent(
        "User identity negotiation (PS3.7 D.3.3.7)",
        "Whatever a peer says of its user is ignored, and nothing is said of ours.",
        ("EVT_USER_ID", "UserIdentityNegotiation"),
    ),
    Absent(
        "Query and retrieve (C-FIND, C-MOVE, C-GET) as a provider",
        "Results are pushed, not offered.",
        ("EVT_C_FIND", "EVT_C_GET", "EVT_C_MOVE"),
    ),
    Absent(
        "Modality Worklist, Modality Performed Procedure Step",
        "What is analysed follows from the images alone.",
        (r"1\.2\.840\.10008\.5\.1\.4\.31", r"1\.2\.840\.10008\.3\.1\.2\.3", "Worklist"),
    ),
    Absent(
        "Unified Procedure Step, Instance Availability Notification",
        "A result announces itself by its arrival.",
        (r"1\.2\.840\.10008\.5\.1\.4\.3[34]", "UnifiedProcedureStep", "send_n_(create|get|set)"),
    ),
    Absent(
        "DICOMweb (PS3.18) as a server, and as a user of anything but the Store transaction",
        "The node opens no HTTP port, and retrieves nothing. `midline peers test` searches "
        "for one study, to see whether a service lets it in, and looks at the status alone.",
        ("http\\.server", "HTTPServer", "(?i)wado[_-]?rs", "(?i)ups[_-]rs", "(?i)delete_instance"),
    ),
    Absent(
        "Media storage (PS3.10, PS3.11)",
        "No media are written or read.",
        (r"pydicom\.fileset", "FileSet"),
    ),
    Absent(
        "Presentation states, parametric maps",
        "Outlines are in the report, in the overlay and on the page.",
        ("PresentationState", "ParametricMap"),
    ),
    Absent(
        "HL7 v3 and FHIR",
        "Results go out as DICOM objects; HL7 v2 tells of them.",
        (r"(?i)\bcda\b", "(?i)fhir"),
    ),
)
"""Services of DICOM and its surroundings that this version does not have."""

"""Part of the conformance statement on who calls the node: policy, checks, statuses."""

from dataclasses import dataclass

from config.settings import SenderSettings
from node.admission import Rejection
from node.documents.markdown import code, table
from node.documents.network import settings_table
from node.documents.sentences import of_members
from node.documents.site import Site
from node.hardening import SECONDS_FOR_A_PDU, SMALLEST_LIMIT_BYTES
from node.hardening.bounds import SHARED_DATA_SETS, SLOWEST_BYTES_PER_SECOND
from node.listener import application_entity
from node.status import StoreStatus


@dataclass(frozen=True)
class Check:
    """What a C-STORE request goes through.

    Attributes
    ----------
    condition
        When it is answered so.
    status
        The answer.
    comment
        Error Comment (0000,0902), as far as it is the same each time.
    """

    condition: str
    status: StoreStatus
    comment: str = ""


CHECKS = (
    Check(
        "the caller is known by `may_store = false`, or only as a destination",
        StoreStatus.NOT_AUTHORIZED,
        "this application entity may not store",
    ),
    Check(
        "less than `storage.reserve_bytes` of the disk is free",
        StoreStatus.OUT_OF_RESOURCES,
        "no room on the disk",
    ),
    Check(
        "the data set is longer than `node.max_instance_bytes`",
        StoreStatus.OUT_OF_RESOURCES,
        "the data set is over the size limit",
    ),
    Check(
        "Affected SOP Instance UID is not 1 to 64 digits and dots",
        StoreStatus.CANNOT_UNDERSTAND,
        "Affected SOP Instance UID is no UID",
    ),
    Check(
        "a deflated data set cannot be inflated, or to more than `node.max_instance_bytes`",
        StoreStatus.CANNOT_UNDERSTAND,
        "a deflated data set …",
    ),
    Check(
        "an element cannot be parsed",
        StoreStatus.CANNOT_UNDERSTAND,
        "the data set cannot be parsed",
    ),
    Check(
        "the last element does not end where the data set does",
        StoreStatus.CANNOT_UNDERSTAND,
        "the data set is cut short",
    ),
    Check(
        "there is no Pixel Data, or an uncompressed one is too short",
        StoreStatus.CANNOT_UNDERSTAND,
        "fewer pixels than rows, columns and bits announce",
    ),
    Check(
        "SOP Class or Instance UID differs from that of the request, or Modality is not CT",
        StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        "(keyword) is not what the request says",
    ),
    Check(
        "Patient ID, Study or Series Instance UID has no value",
        StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        "(keyword) is missing",
    ),
    Check(
        "Study or Series Instance UID is not 1 to 64 digits and dots",
        StoreStatus.CANNOT_UNDERSTAND,
        "(keyword) is no UID",
    ),
    Check(
        "the SOP Instance UID is known with another data set; this one goes to quarantine",
        StoreStatus.DUPLICATE_SOP_INSTANCE,
        "known SOP Instance UID with other content",
    ),
    Check(
        "the study is known under another Patient ID or issuer, or the series under another study; "
        "image and study go to quarantine",
        StoreStatus.PATIENT_CONFLICT,
        "study or series is known under another patient",
    ),
    Check("the index cannot be written in time", StoreStatus.OUT_OF_RESOURCES, "the index is busy"),
    Check("anything else goes wrong", StoreStatus.PROCESSING_FAILURE, "fault of the node: (type)"),
    Check(
        "the same data set is known under this SOP Instance UID: nothing changes",
        StoreStatus.SUCCESS,
    ),
    Check("file, folder and index are on the disk", StoreStatus.SUCCESS),
)
"""The checks of `node.handlers`, `node.custody` and `node.reception`, in their order."""

REJECTS = (
    (
        Rejection.CALLING_AE_TITLE,
        "the calling AE title is not known, or not from this address or with this certificate",
    ),
    (Rejection.CALLED_AE_TITLE, "the called AE title is not `node.ae_title`"),
    (Rejection.TOO_MANY, "`node.max_associations` associations are open"),
    (Rejection.FAULT, "the node could not tell who calls"),
)
"""A-ASSOCIATE-RJ, and when it is sent (PS3.8 Table 9-21)."""


def acceptance(site: Site) -> str:
    """Table of what holds for associations that peers open."""
    ae, node = application_entity(site.settings.node), site.settings.node
    nobody_named = "everyone, which only a listener on a loopback address may have"
    return table(
        ("Property", "Value"),
        (
            ("Application context", code("1.2.840.10008.3.1.1.1")),
            ("AE title", code(ae.ae_title)),
            ("Called AE title", "must be this AE title"),
            ("Calling AE titles", ", ".join(_callers(site)) or nobody_named),
            ("Transport", _transport(site)),
            ("Simultaneous associations", node.max_associations),
            (
                "Simultaneous connections",
                f"{node.max_connections}, {node.max_connections_per_address} from one address",
            ),
            ("Longest PDU accepted", f"{ae.maximum_pdu_size} bytes"),
            (
                "Longest PDU read at all",
                f"{max(ae.maximum_pdu_size, SMALLEST_LIMIT_BYTES)} bytes, else the connection ends",
            ),
            ("Time for one PDU", f"{SECONDS_FOR_A_PDU:g} s"),
            (
                "Longest data set",
                f"{node.max_instance_bytes} bytes; {SHARED_DATA_SETS} of them on all connections",
            ),
            (
                "Time for one message",
                f"{node.network_timeout_seconds:g} s, then {SLOWEST_BYTES_PER_SECOND} bytes/s",
            ),
            (
                "Asynchronous operations",
                "not negotiated: a request is read when the one before is answered",
            ),
            ("SCP/SCU role selection", "for Storage Commitment"),
            ("Extended negotiation", "none"),
            ("User identity", "not evaluated"),
            ("Implementation Class UID", code(ae.implementation_class_uid)),
            ("Implementation Version Name", code(ae.implementation_version_name)),
        ),
    )


def rejections() -> str:
    """Table of what a rejected peer is told."""
    rows = [(*answer.value, condition) for answer, condition in REJECTS]
    return table(("Result", "Source", "Reason", "When"), rows)


def _callers(site: Site) -> list[str]:
    """AE titles that may call, with what they may not do."""
    settings = site.settings
    may_store = dict.fromkeys(settings.node.allowed_calling_ae_titles, True)
    may_store |= {each.ae_title: each.may_store for each in settings.senders}
    if may_store:
        destinations = (each.ae_title for each in settings.destinations)
        may_store = dict.fromkeys(destinations, False) | may_store
    return [title if stores else f"{title} (no images)" for title, stores in may_store.items()]


def _transport(site: Site) -> str:
    if not site.settings.node.tls:
        return "TCP without TLS"
    return f"TLS {site.settings.tls.minimum_version} or newer, certificates on both sides"


def checks() -> str:
    """Table of what a C-STORE goes through, in order."""
    rows = [
        (number, check.condition, code(f"0x{check.status:04X}"), check.comment)
        for number, check in enumerate(CHECKS, start=1)
    ]
    return table(("", "If", "Status", "Error Comment"), rows)


def statuses() -> str:
    """Table of the statuses of a C-STORE response."""
    meanings, used = of_members(StoreStatus), {check.status for check in CHECKS}
    rows = [
        (
            code(f"0x{status:04X}"),
            status.name.replace("_", " ").capitalize().replace("sop", "SOP"),
            meanings[status.name],
            "yes" if status in used else "never",
        )
        for status in StoreStatus
    ]
    return table(("Status", "Name", "Meaning", "Answered"), rows)


def senders(site: Site) -> str:
    """Table of what a site's senders are known by; what one can be, if there is none."""
    if not site.settings.senders:
        return settings_table(SenderSettings, "senders")
    rows = [
        (
            code(each.ae_title),
            ", ".join(map(str, each.addresses)) or "any",
            ", ".join((*each.certificate_names, *each.certificates_sha256)) or "any",
            "yes" if each.may_store else "no",
        )
        for each in site.settings.senders
    ]
    return table(("AE title", "Addresses", "Certificates", "Stores"), rows)

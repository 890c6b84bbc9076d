"""Parts of the conformance statement on DICOMweb: results stored by STOW-RS."""

from itertools import groupby

from config.settings import WebDestinationSettings
from node.documents.markdown import bullets, code, table
from node.documents.network import VERDICTS, settings_table, span
from node.documents.site import Site
from node.status import (
    SOP_CLASS_NOT_SUPPORTED,
    TRANSFER_SYNTAX_NOT_SUPPORTED,
    verdict_of_failure,
    verdict_of_http,
)
from node.stow import STUDIES
from node.web import DICOM_JSON, LONGEST_PAUSE, MOST_BYTES

TOLD_BY_PAYLOAD = "what the payload of the answer says"


def requests() -> str:
    """Say what is sent."""
    return bullets(
        f"Store Transaction (PS3.18 10.5): POST to {code(STUDIES)} below the URL of the "
        "destination, without a Study Instance UID, so that nothing of a patient gets into the "
        "logs of web servers and proxies.",
        'One object in a request, as `multipart/related; type="application/dicom"` of one part, '
        "byte by byte as the file is; the report last.",
        f"An answer is asked for in {code(DICOM_JSON)}. At most {MOST_BYTES} bytes of it are "
        "read, no longer than `web_destinations.timeout_seconds`; it is not decompressed and "
        "nothing of it is written anywhere.",
        "Authentication: the bearer token in `web_destinations.token_file` (RFC 6750), read anew "
        "for each attempt; over TLS alone, unless the service is on the same machine.",
        "TLS 1.2 or newer; the certificate has to come from `web_destinations.authorities`, or "
        "else from the authorities of the system, and to name the host. No redirection is "
        "followed.",
        "Retry-After is kept, up to "
        f"{LONGEST_PAUSE.total_seconds():g} s. All else is as in section 4.3: pauses, order, "
        "when results are given up or held.",
    )


def answers() -> str:
    """Table of what an HTTP status means, by asking for every number from 200 on."""
    rows = [
        (span(list(map(str, numbers))), TOLD_BY_PAYLOAD if verdict is None else VERDICTS[verdict])
        for verdict, numbers in groupby(range(200, 600), key=verdict_of_http)
    ]
    return table(("HTTP status", "The object is"), rows)


def failures() -> str:
    """Table of what a failure reason means, by asking for every number there is."""
    special = {
        SOP_CLASS_NOT_SUPPORTED: "refused like a class that is not negotiated, until forgotten",
        TRANSFER_SYNTAX_NOT_SUPPORTED: "refused like a syntax that is not negotiated, until "
        "forgotten",
    }
    rows = [
        (span([f"0x{number:04X}" for number in numbers]), words)
        for words, numbers in groupby(
            range(0x10000),
            key=lambda reason: special.get(reason, VERDICTS[verdict_of_failure(reason)]),
        )
    ]
    return table(("Failure Reason (0008,1197)", "The object is"), rows)


def payload() -> str:
    """Say what follows from a payload."""
    return bullets(
        "A Failed SOP Sequence (0008,1198) or Other Failures Sequence (0008,119A) goes before the "
        "status: its reason counts, as below; without a reason the object is refused.",
        "200 without them: delivered. 202: delivered if the Referenced SOP Sequence (0008,1199) "
        "names the object, else tried again later. 409: refused.",
        "A Warning Reason (0008,1196) counts as delivered, and is logged.",
        "415 for a compressed object: it is written anew, plain, for this study.",
    )


def destinations(site: Site) -> str:
    """Table of a site's web destinations; what one can be, if there is none."""
    if not site.settings.web_destinations:
        return settings_table(WebDestinationSettings, "web_destinations")
    rows = [(code(each.name), code(each.url)) for each in site.settings.web_destinations]
    return table(("Web destination", "URL"), rows)

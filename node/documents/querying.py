"""Parts of the conformance statement on completeness, and on query and retrieve as a user."""

from node.documents.markdown import bullets, code, table
from node.documents.site import Site
from node.evidence import (
    HEAD_MM,
    KNOWN_AFTER_STUDIES,
    REMEMBERED_STUDIES,
    SAFETY,
    SHORTEST_WAIT_SECONDS,
)
from node.fetching import FIRST_PAUSE, MOST_FETCHES
from node.query import FIND, GET, MOVE, UIDS_IN_A_REQUEST

SERVICES = (FIND, GET, MOVE)
"""SOP classes of which the node is a user if a sender answers queries."""
KEYS = (
    ("SERIES", "Study Instance UID", "unique, one value"),
    ("SERIES", "Series Instance UID, Modality", "returned; series other than CT are left out"),
    ("SERIES", "Number of Series Related Instances", "returned, if the archive counts"),
    ("IMAGE", "Study and Series Instance UID", "unique, one value each"),
    ("IMAGE", "SOP Instance UID", "returned"),
    ("IMAGE", "SOP Class UID", "returned, if the archive knows it; else all count as images"),
)
STATUSES = (
    ("0xFF00, 0xFF01", "more follows"),
    ("0x0000", "done"),
    ("0xB000", "done; what failed is asked for again"),
    ("0xA700 to 0xA7FF, 0xFE00, no answer", "asked again later"),
    ("any other", "asked again later, and in the log"),
)


def completeness(site: Site) -> str:
    """Say when a study is complete before it was quiet."""
    settings = site.settings.completion
    return bullets(
        "Every association that sent images of the study was released, none was aborted or lost, "
        "and its sender has no other association open.",
        "A series that could be analysed, as far as its headers tell (section 11), covers at least "
        f"{HEAD_MM:g} mm of a head without a gap, and its Instance Numbers begin with 0 or 1 and "
        "are counted through.",
        "No series has a gap in its Instance Numbers, begins later, or is incomplete by its "
        "positions; and none is to have more images by Images in Acquisition or by Number of "
        "Series Related Instances, where images tell them.",
        "Instead of the geometry, and also after an aborted association, an equal count is taken: "
        "of a query (section 4.6), or of a request for storage commitment. A count that differs "
        "speaks against completeness, and so does a gap in spite of any count.",
        f"All this counts after {SAFETY:g} times the longest pause between two associations for a "
        f"study that the sender has made in its last {REMEMBERED_STUDIES} studies or in this one, "
        f"at least {SHORTEST_WAIT_SECONDS:g} s if it makes any. Until {KNOWN_AFTER_STUDIES} "
        "studies of a sender are known, it counts after "
        f"{settings.unknown_sender_seconds:g} s (`completion.unknown_sender_seconds`).",
        "That the last slice of a series, or a whole further series, is missing shows in no "
        "header: if it comes after a longer pause than ever, the study is analysed again.",
    )


def asking() -> str:
    """Say what a sender's archive is asked."""
    return bullets(
        "If a sender has a table `query`, its archive is asked for the images of each study that "
        "it sent and that is not complete yet, one study at a time: C-FIND at the level SERIES, "
        "and at the level IMAGE where the numbers differ from what is held or are not told.",
        "What is missing is asked for by C-GET, or by C-MOVE to this AE title, or not at all "
        f"(`query.retrieve`), {MOST_FETCHES} times at most, with a list of up to "
        f"{UIDS_IN_A_REQUEST} SOP Instance UIDs of one series at the level IMAGE. C-GET proposes "
        "the classes and transfer syntaxes of section 3.2, with the role of a provider; an image "
        "that was not asked for is refused with 0x0124. For C-MOVE, the archive must know this "
        "node, and must be one that may call.",
        f"As long as the numbers differ, and after a failure, it is asked again after "
        f"{FIRST_PAUSE.total_seconds():g} s, then after twice as long each time, until the study "
        "is complete by quiet. Reception and completion never wait for an answer.",
    )


def keys() -> str:
    """Table of the keys of a C-FIND."""
    return table(("Level", "Keys", "Use"), KEYS)


def statuses() -> str:
    """Table of what the status of a C-FIND, C-GET or C-MOVE response means."""
    return table(("Status", "What follows"), [(code(a), b) for a, b in STATUSES])

"""Parts of the conformance statement on the network: services, associations, statuses, delivery."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from random import Random

from pydantic import BaseModel
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.presentation import PresentationContext

from config.settings import DestinationSettings
from node import sending
from node.commitment.messages import STORAGE_COMMITMENT, commitment_context
from node.documents.markdown import LINE, bullets, code, table
from node.documents.objects import Kind, kinds_sent, name_of
from node.documents.querying import SERVICES
from node.documents.site import Site
from node.hardening import HardAE
from node.listener import application_entity
from node.pauses import pause_after
from node.peers import OFFERED_PDU_BYTES, REJECTIONS, VERIFICATION, StoreFile
from node.status import Verdict, verdict_of

SHOWN_ATTEMPTS = 8
VERDICTS = {
    Verdict.DONE: "delivered",
    Verdict.RETRY: "tried again later",
    Verdict.HOLD: "held: tried again until somebody changes the setup, here or there",
    Verdict.DEAD: "refused; the next form follows, if there is one",
}
"""What each verdict means for an object."""


def accepted_contexts(site: Site) -> tuple[PresentationContext, ...]:
    """Presentation contexts of the listener's own application entity."""
    return tuple(application_entity(site.settings.node).supported_contexts)


def proposed_contexts(kinds: Iterable[Kind]) -> tuple[PresentationContext, ...]:
    """Presentation contexts that are proposed for some kinds of objects, in all their forms."""
    files = [
        StoreFile(Path(), kind.sop_class_uid, syntax)
        for kind in kinds
        for syntax in kind.transfer_syntaxes
    ]
    return (*sending.proposed_contexts(files), commitment_context())


def overview(site: Site) -> str:
    """Table of services: what is offered, what is used."""
    rows = []
    commits = "yes" if site.settings.commitment.offered else "if the site offers it"
    for context in accepted_contexts(site):
        uid = str(context.abstract_syntax)
        used = "yes" if uid in (VERIFICATION, STORAGE_COMMITMENT) else "no"
        rows.append(
            (name_of(uid), code(uid), used, commits if uid == STORAGE_COMMITMENT else "yes")
        )
    rows += [
        (name_of(uid), code(uid), "by default" if any_default else "if a destination asks", "no")
        for uid, any_default in _classes_sent(site).items()
    ]
    rows += [(name_of(uid), code(uid), "if a sender answers queries", "no") for uid in SERVICES]
    return table(("SOP class", "UID", "SCU", "SCP"), rows)


def _classes_sent(site: Site) -> dict[str, bool]:
    """Classes of what is sent, and whether a destination gets them without asking."""
    classes: dict[str, bool] = {}
    for kind in kinds_sent(site.installation):
        uid = kind.sop_class_uid
        classes[uid] = classes.get(uid, False) or kind.by_default
    return classes


def context_table(contexts: Sequence[PresentationContext]) -> str:
    """Table of presentation contexts; classes with the same transfer syntaxes share a row."""
    shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for context in contexts:
        shared[tuple(map(str, context.transfer_syntax))].append(str(context.abstract_syntax))
    rows = [
        (LINE.join(map(_named, classes)), LINE.join(map(_named, syntaxes)))
        for syntaxes, classes in shared.items()
    ]
    return table(("Abstract syntax", "Transfer syntaxes, in order of preference"), rows)


def _named(uid: str) -> str:
    return f"{code(uid)} {name_of(uid)}"


def initiation(site: Site) -> str:
    """Table of what holds for associations that the node opens."""
    ae = HardAE(site.settings.node.ae_title)
    return table(
        ("Property", "Value"),
        (
            ("Calling AE title", code(site.settings.node.ae_title)),
            ("Associations to one destination at a time", "one for each study that is sent"),
            ("Simultaneous associations", f"{site.settings.delivery.slots} (`delivery.slots`)"),
            ("Longest PDU taken", f"{OFFERED_PDU_BYTES} bytes"),
            ("Asynchronous operations", "not proposed"),
            ("SCP/SCU role selection", "proposed to report on Storage Commitment"),
            ("Extended negotiation, user identity", "not proposed"),
            ("Implementation Class UID", code(ae.implementation_class_uid)),
            ("Implementation Version Name", code(ae.implementation_version_name)),
        ),
    )


def verdicts() -> str:
    """Table of what a received C-STORE status means, by asking for every number there is."""
    rows = [
        (span([f"0x{number:04X}" for number in numbers]), VERDICTS[verdict])
        for verdict, numbers in groupby(range(0x10000), key=verdict_of)
    ]
    return table(("Status", "The object is"), rows)


def span(numbers: Sequence[str]) -> str:
    """Write numbers that follow each other: the first, and the last if there are more."""
    return code(numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}")


def retries(site: Site) -> str:
    """Say when the next attempt follows."""
    settings = site.settings.delivery
    even = settings.model_copy(update={"jitter": 0.0})
    pauses = [
        f"{pause_after(attempt, even, chance=Random(0)).total_seconds():g}"  # noqa: S311
        for attempt in range(1, SHOWN_ATTEMPTS + 1)
    ]
    return bullets(
        f"Pauses after the first {SHOWN_ATTEMPTS} attempts: {', '.join(pauses)} s, each longer "
        f"or shorter by up to {settings.jitter:.0%}; {settings.longest_retry_seconds:g} s from "
        "then on.",
        f"After {settings.give_up_hours:g} hours what is left is dead: it is shown to the "
        "administrator, who may open it again.",
        "What only a changed setup can mend is held: it is tried again with the same pauses, "
        "shown with what is wrong (`midline status`), and not given up, so that a mended peer "
        "gets everything. That is a permanent A-ASSOCIATE-RJ (an AE title that is not known), a "
        "certificate that one side refuses, and a status that says not authorized.",
        "Waiting deliveries survive a restart, and no destination waits for another one.",
        "No connection, a time-out, an abort and a transient A-ASSOCIATE-RJ are tried again; an "
        "association on which an answer is missing is aborted.",
        f"A SOP class that is rejected without saying that it is not known (result 1 or 2 of "
        f"its presentation context) is proposed {sending.FEW_ATTEMPTS} times, then taken for "
        "refused.",
        "An object that is refused holds back those after it, since they may refer to it.",
    )


def rejections_received() -> str:
    """Table of what is told to the administrator if a peer rejects the association."""
    rows = [(*diagnostic, words) for diagnostic, words in REJECTIONS.items()]
    return table(("Source", "Reason", "The administrator reads"), rows)


def settings_table(section: BaseModel | type[BaseModel], prefix: str) -> str:
    """Table of a section of the settings, with its values or, for a class, its defaults."""
    kind = section if isinstance(section, type) else type(section)
    rows = []
    for name, field in kind.model_fields.items():
        if isinstance(section, type):
            value = "" if field.is_required() else _shown(field.default)
        else:
            value = _shown(getattr(section, name))
        rows.append((code(f"{prefix}.{name}"), value, field.description or ""))
    return table(("Setting", "Value", "Meaning"), rows)


def destinations(site: Site) -> str:
    """Table of a site's destinations; what one can be, if there is none."""
    if not site.settings.destinations:
        return settings_table(DestinationSettings, "destinations")
    rows = [(code(each.name), code(each.ae_title)) for each in site.settings.destinations]
    return table(("Destination", "AE title"), rows)


def syntaxes_of_files() -> str:
    """Name the transfer syntax of everything that is written uncompressed."""
    return name_of(str(ExplicitVRLittleEndian))


def _shown(value: object) -> str:
    if value in ("", (), None):
        return "none"
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return code(text.lower() if isinstance(value, bool) else text)

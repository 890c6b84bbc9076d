"""The DICOM conformance statement (PS3.2), made from what the node does."""

from collections.abc import Iterator

from node.documents import (
    acceptance,
    commitment,
    network,
    querying,
    results,
    selection,
    storing,
    telling,
    trail,
)
from node.documents.absent import NOT_OFFERED
from node.documents.markdown import bullets, document, heading, table
from node.documents.objects import kinds_sent
from node.documents.site import Site
from node.results import codes

REGENERATE = "midline conformance --out docs/conformance.md"


def conformance_statement(site: Site) -> str:
    """Write the conformance statement of an installation.

    Parameters
    ----------
    site
        Whose settings are shown; nothing of the machine is.

    Returns
    -------
    str
        Markdown; always the same for the same version and settings.
    """
    return document(
        f"<!-- Made by `{REGENERATE}`; whatever is edited here is lost. -->",
        heading(f"DICOM conformance statement of {site.title}", level=1),
        *_overview(site),
        *_implementation(site),
        *_accepting(site),
        *_delivering(site),
        *_other_services(),
        *_configuration(site),
        *_character_sets(),
        *_security(site),
        *_objects(site),
        *_report(site),
        *_input(),
        *_identity(site),
        *_terms(site),
        *_attributes(site),
    )


def _overview(site: Site) -> Iterator[str]:
    yield heading("1 Overview", level=2)
    yield (
        "Midline receives CT of the head, looks for intracranial haemorrhage by a neural network, "
        "and sends segmentations and reports to the destinations of the site. It is research "
        "software: what it writes says that it is not for diagnosis, unless an approval is "
        "recorded in its settings."
    )
    yield (
        "This document is made by the program from its own tables, and from result objects that "
        "it writes for the purpose. "
        + (
            "It shows the settings that the node has as long as the site sets nothing."
            if site.is_default
            else "It shows the settings of one site."
        )
        + " Its sections follow the outline of PS3.2."
    )
    yield heading("Network services", level=3)
    yield network.overview(site)
    yield (
        "Storage as a user also sends whatever files a person names (`midline send`), each in its "
        "own SOP class and transfer syntax; Verification as a user is `midline echo`."
    )
    yield "Media services: none."


def _implementation(site: Site) -> Iterator[str]:
    completion = site.settings.completion
    yield heading("2 Implementation model", level=2)
    yield (
        "One application entity receives, and calls with the same AE title. Its listener, "
        "analysers and deliverer are processes of their own; files and index are all that they "
        "share, so that each may end at any moment and go on where it was."
    )
    yield bullets(
        "*Receive*: images are kept as they came. Success is answered when file and index are on "
        "the disk.",
        "*Complete*: a study is complete at once when its images prove that none is to come "
        "(section 2.1); else "
        f"{completion.quiet_after_release_seconds:g} s after the sender's association ended, "
        f"{completion.quiet_without_release_seconds:g} s after the last image of an "
        "association that stays open, and at the latest "
        f"{completion.deadline_seconds:g} s after its first image.",
        "*Analyse*: one series is chosen, checked and segmented. Each complete study ends in "
        "results of exactly one outcome (section 9), also one that cannot be analysed.",
        "*Deliver*: each destination gets the objects in its forms, the report last.",
        "Images that come later make the next generation of the study. If they change what is "
        "analysed, new objects follow, and the report names its predecessor (Predecessor "
        "Documents Sequence).",
    )
    yield heading("2.1 When images prove that none is to come", level=3)
    yield (
        "If `completion.by_evidence` is set, which is the default, a study is complete when all of "
        "this holds:"
    )
    yield querying.completeness(site)


def _accepting(site: Site) -> Iterator[str]:
    yield heading("3 Association acceptance", level=2)
    yield heading("3.1 Association policy", level=3)
    yield acceptance.acceptance(site)
    yield "A peer that is not served is rejected with A-ASSOCIATE-RJ:"
    yield acceptance.rejections()
    yield heading("3.2 Presentation contexts accepted", level=3)
    yield network.context_table(network.accepted_contexts(site))
    yield (
        "Every other context is rejected. Of several transfer syntaxes in one context, the first "
        "of this list that was proposed is taken. A compressed syntax is accepted only if its "
        "decoder is installed; all are part of a usual installation."
    )
    yield heading("3.3 Conformance as a provider of Storage", level=3)
    yield (
        "Conformance is of level 2 (full): all attributes are kept, private ones included, "
        "nothing is coerced, and received files are not handed on. "
        "The checks of a C-STORE request, in their order:"
    )
    yield acceptance.checks()
    yield "Statuses of the response (PS3.4 B.2.3, PS3.7 C):"
    yield acceptance.statuses()
    yield "Error Comment (0000,0902) never holds anything of the patient. C-ECHO gets 0x0000."
    yield heading("3.4 Conformance as a provider of Storage Commitment", level=3)
    yield commitment.granting(site)
    yield commitment.given()
    yield "Statuses of the responses to N-ACTION, and to N-EVENT-REPORT as a user (section 4.5):"
    yield commitment.statuses()


def _delivering(site: Site) -> Iterator[str]:
    yield heading("4 Association initiation", level=2)
    yield heading("4.1 Association policy", level=3)
    yield network.initiation(site)
    yield heading("4.2 Presentation contexts proposed", level=3)
    yield (
        "For each class that is to be sent, its stored transfer syntaxes in a context each, and "
        "one with the uncompressed ones; and Verification, so that a peer that takes none of the "
        "classes can say so. All that can ever be proposed for results:"
    )
    yield network.context_table(network.proposed_contexts(kinds_sent(site.installation)))
    yield heading("4.3 What follows from an answer", level=3)
    yield network.verdicts()
    yield (
        "A duplicate SOP instance (0x0111) counts as delivered, since UIDs and bytes of a result "
        "never change: what the peer holds under this UID is this object."
    )
    yield network.retries(site)
    yield "If a peer rejects the association:"
    yield network.rejections_received()
    yield heading("4.4 Forms by destination, and what follows a refusal", level=3)
    yield results.forms_table()
    yield (
        "A destination gets what its settings say. If it rejects a SOP class or a transfer "
        "syntax, or refuses an object, the whole result is written anew without it: a label map "
        "becomes a binary segmentation, without any segmentation the overlay follows and the "
        "report refers to no segment; a report falls to the next of the list above. What a "
        "destination does not know is remembered until somebody has it forgotten (`midline "
        "peers forget`). At the end of the list the refusal is shown to the administrator."
    )
    yield heading("4.5 Conformance as a user of Storage Commitment", level=3)
    yield commitment.asking(site)
    yield commitment.remedies()
    yield heading("4.6 Conformance as a user agent of the Store transaction (STOW-RS)", level=3)
    yield storing.requests()
    yield storing.answers()
    yield storing.payload()
    yield storing.failures()


def _other_services() -> Iterator[str]:
    yield heading("5 Not offered", level=2)
    yield table(("Service", "What follows"), [(each.name, each.remark) for each in NOT_OFFERED])
    yield (
        "There are no private SOP classes, no private transfer syntaxes, no private attributes, "
        "and no media."
    )
    yield heading("5.1 Messages beside DICOM", level=3)
    yield telling.hl7()


def _configuration(site: Site) -> Iterator[str]:
    settings = site.settings
    yield heading("6 Configuration", level=2)
    yield "Values are those of this document's installation."
    for section, name in (
        (settings.node, "node"),
        (settings.tls, "tls"),
        (settings.completion, "completion"),
        (settings.delivery, "delivery"),
        (settings.commitment, "commitment"),
        (settings.results, "results"),
        (settings.identity, "identity"),
        (settings.retention, "retention"),
        (settings.audit, "audit"),
    ):
        yield network.settings_table(section, name)
    yield "Senders (as many as there are):"
    yield acceptance.senders(site)
    yield "Destinations (as many as there are):"
    yield network.destinations(site)
    yield "Web destinations (as many as there are):"
    yield storing.destinations(site)


def _character_sets() -> Iterator[str]:
    yield heading("7 Character sets", level=2)
    yield bullets(
        "Received data sets are kept byte by byte, whatever their character set.",
        "Result objects have the Specific Character Set of the analysed images, and the texts "
        "copied from them; without one in the images they have none.",
        "Whatever the node adds is of the default repertoire (ISO-IR 6), so that it fits every "
        "character set; settings that go into objects are checked for it.",
        "A text of the images that cannot be read is left out, not repaired.",
        "Descriptions are searched for words of several languages and scripts (section 11).",
    )


def _security(site: Site) -> Iterator[str]:
    yield heading("8 Security", level=2)
    yield bullets(
        "TLS in both directions follows the Modified BCP 195 RFC 8996 TLS Secure Transport "
        "Connection Profile (PS3.15 B.12, B.13): version 1.2 at least, ephemeral elliptic curves "
        "with AES-GCM, certificates on both sides, the host name compared when the node calls. "
        "It is off until a site has certificates; the usual port is 2762. There is no user "
        "authentication.",
        "A port without TLS opens on an address other than loopback only if "
        "`node.plain_off_loopback` says so: the network has to be trusted then, a segment of its "
        "own, or a tunnel.",
        "An AE title is no authentication. A sender can be bound to networks, and to names or "
        "digests of its certificate; who does not fit is rejected like a stranger. Without any "
        "list of callers the node refuses to start on any address but a loopback one.",
        "Connections are counted when they are accepted, in all and by address. The length of a "
        "PDU is bounded before memory is taken, the items of an association request before they "
        "are read, a data set and a command set while they arrive, an inflated data set before "
        "it is held. A peer that drips, or does not read, is cut off.",
        "Files are stored with an empty preamble, under names of the node's own making.",
        "Images of two patients under one study go to quarantine; the study is reported as not "
        "analysed.",
        "Logs, error comments and messages hold no patient data. Patient IDs are in the index as "
        "digests only, keyed at the site so that no list of all IDs undoes them; the received "
        "files hold them as they came.",
        "Before an object is sent, its patient, study, frame of reference and references are held "
        "against the index; what does not belong is never sent.",
        "Weights are read from a format that cannot hold programs, and only if their digest is "
        "that of their card.",
    )
    yield heading("8.1 Audit trail", level=3)
    yield trail.messages()
    yield trail.properties(site)


def _objects(site: Site) -> Iterator[str]:
    yield heading("9 Result objects", level=2)
    yield heading("9.1 Objects and series", level=3)
    yield results.object_table(site)
    yield results.series_table(site)
    yield (
        "Objects are sent in the order of this table. UIDs are `2.25.` and a UUIDv5 of the kind "
        "and form, study, series, analysed pixels, model and generation; a repeated step writes "
        "the same bytes under the same UID, and forms with other content have other UIDs."
    )
    yield heading("9.2 Outcomes", level=3)
    yield results.outcome_table(site)
    yield (
        "A consumer concludes from all three codes together. Anything but Succeeded with Present "
        "or Absent, or Partially Succeeded with Present, is no result. Absent means that nothing "
        "was detected; it does not exclude haemorrhage."
    )
    yield heading("9.3 Words", level=3)
    yield results.wording_table()
    yield heading("9.4 Reasons of a partial or missing result", level=3)
    yield results.reason_table()
    yield heading("9.5 Subtypes", level=3)
    yield results.subtype_table()
    yield (
        "A mask has one segment for each subtype that is present, numbered from 1. A report has "
        "one TID 1411 group for each (without a mask TID 1501), and TID 1410 groups for the key "
        "outline, the box around it and the outlines of further lesions. Segment, measurements, "
        "outline and box of a subtype share Tracking Identifier and Tracking Unique Identifier; "
        "further lesions have their own. The midline shift, where it was measured, has a TID 1410 "
        "group of its own."
    )


def _report(site: Site) -> Iterator[str]:
    yield heading("10 Content of the reports", level=2)
    yield heading("10.1 With a finding (TID 1500)", level=3)
    yield (
        "As written for a partial result with a subdural haemorrhage; a complete one has "
        f"{codes.CAD_SUMMARY.meaning} in place of the reason. Each subtype has such groups."
    )
    yield results.report_outline(site)
    yield heading("10.2 Without a finding", level=3)
    yield results.absent_outline(site)
    yield heading("10.3 Key Object Selection (TID 2010)", level=3)
    yield results.key_object_outline(site)
    yield heading("10.4 Text report", level=3)
    yield results.text_outline(site)


def _input() -> Iterator[str]:
    yield heading("11 Input: which series is analysed", level=2)
    yield "One series of a study is analysed, the one with the best score; what it must be like:"
    yield selection.criteria()
    yield selection.limits()
    yield "Gates, in their order; a series that fails one is not analysed:"
    yield selection.rejections()
    yield "Cautions on a series that is analysed nevertheless:"
    yield selection.cautions()
    yield "Texts and values that gates look for:"
    yield selection.words_searched()
    yield "Checks on the voxels of the chosen series; one that fails ends in FAILED:"
    yield selection.voxel_checks()
    yield "A result is at most PARTIAL if:"
    yield selection.shortfalls()


def _identity(site: Site) -> Iterator[str]:
    yield heading("12 Identity of node and model", level=2)
    yield results.identity_table(site)
    yield (
        "The model is named alike in the Contributing Equipment Sequence, as device observer of "
        "the reports, as algorithm of the segments and as algorithm of the measurements:"
    )
    yield results.model_table(site)
    yield (
        "The Device UID is `2.25.` and a UUIDv5 of the weights and of every setting that changes "
        "results: two nodes with the same have the same, and another threshold gives another one."
    )
    yield results.equipment_table(site)


def _terms(site: Site) -> Iterator[str]:
    yield heading("13 Coded terms", level=2)
    yield results.standing_list()
    yield results.term_table()
    yield (
        "Codes are compared by value and scheme, never by meaning. Templates bring further codes "
        "of PS3.16, which are in section 10. The private scheme, as each report declares it:"
    )
    yield results.scheme_table(site)


def _attributes(site: Site) -> Iterator[str]:
    yield heading("14 Attributes of the objects", level=2)
    yield (
        "Top-level attributes, from objects written for two installations and two patients, and "
        "for images with nothing but what they must have. Device UID (0018,1002) in the "
        "Contributing Equipment Sequence goes beyond the IODs: the objects are of Standard "
        "Extended SOP classes. Series Number and the first words of Series Description follow the "
        "settings (`results`)."
    )
    yield results.attribute_legend()
    yield from results.attribute_tables(site, level=3)

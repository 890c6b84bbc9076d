"""What lies around the node: certificates, peers, and its own workers."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from cryptography import x509

from config.errors import MidlineError, SettingsError
from config.settings import Settings, TLSSettings
from node.doctor.database import is_absent
from node.doctor.findings import Ailment, Check, Finding, Level
from node.operating.overview import look as look_over
from node.operating.probing import probe_peers
from node.tls import SECONDS_OF_A_DAY, checked
from node.web import connected
from storage.database import Database

UNUSABLE = Ailment(
    "certificates.unusable",
    Level.FAULT,
    "{error}",
    "replace the file that is named, or take its setting out; [tls] in docs/settings.md",
)
EXPIRING = Ailment(
    "certificates.expiring",
    Level.WARNING,
    "{file} expires on {date}, in {days} days",
    "get a new one and put it there; SIGHUP (systemctl reload midline) has it read",
)
NO_ACCESS = Ailment(
    "certificates.access",
    Level.FAULT,
    "destination {name}: {error}",
    "let the user that runs the node read the file, and have it hold what docs/settings.md says",
)
NO_PEER = Ailment(
    "peers.unusable",
    Level.FAULT,
    "{name} ({kind}): {error}",
    "start it, let the firewall pass, and compare AE titles on both sides; "
    "midline peers test {name}",
)
NOBODY = Ailment(
    "peers.nobody",
    Level.WARNING,
    "no destination is set: results stay here",
    "add a table [[destinations]] with the PACS; midline config explain destinations",
)
SILENT = Ailment(
    "workers.silent",
    Level.WARNING,
    "{role} on {host} gives no sign of life for {seconds:.0f} s",
    "look into its log; if that host is gone, nothing: its work goes to others",
)
NONE = Ailment(
    "workers.none",
    Level.FAULT,
    "{waiting} analyses wait, and no analyser gives a sign of life",
    "start the node (systemctl start midline), or look into its log: journalctl -u midline",
)


def look_at_certificates(settings: Settings) -> Iterator[Finding]:
    """Look at the files of TLS, and at those that DICOMweb services need."""
    found = [*_faults_of_tls(settings.tls, now=datetime.now(UTC)), *_faults_of_access(settings)]
    yield from found
    if not found:
        said = "the files can be used" if settings.tls.is_set else "no TLS is set up"
        yield CERTIFICATES.well(said)


def _faults_of_tls(tls: TLSSettings, *, now: datetime) -> Iterator[Finding]:
    if tls.certificate is not None:
        try:
            checked(tls, now=now)
        except SettingsError as error:
            yield UNUSABLE.found(error=error)
        else:
            first = x509.load_pem_x509_certificates(tls.certificate.read_bytes())[0]
            ends = first.not_valid_after_utc
            days = (ends - now).total_seconds() / SECONDS_OF_A_DAY
            if days < tls.warn_days_before_expiry:
                date = f"{ends:%Y-%m-%d}"
                yield EXPIRING.found(file=tls.certificate, date=date, days=int(days))


def _faults_of_access(settings: Settings) -> Iterator[Finding]:
    for each in settings.web_destinations:
        try:
            with connected(each):
                pass
        except SettingsError as error:
            yield NO_ACCESS.found(name=each.name, error=error)


def look_at_peers(settings: Settings) -> Iterator[Finding]:
    """Ask every peer whether it is there; nothing is stored."""
    if not settings.receivers:
        yield NOBODY.found()
    for peer in probe_peers(settings):
        if peer.fault is not None:
            yield NO_PEER.found(name=peer.name, kind=peer.kind, error=peer.fault)
        else:
            yield PEERS.well(f"{peer.name} ({peer.kind}) answers at {peer.address}")


def look_at_workers(settings: Settings) -> Iterator[Finding]:
    """Look for the signs of life in the index."""
    if is_absent(settings):
        return
    with closing(Database(settings.storage.url)) as database:
        try:
            with database.read() as transaction:
                seen = look_over(transaction, settings)
        except MidlineError:
            return  # the check of the database says so
    for worker in seen.workers:
        if not worker.alive:
            silent_seconds = (seen.now - worker.beat_at).total_seconds()
            yield SILENT.found(role=worker.role, host=worker.host, seconds=silent_seconds)
    alive = [worker for worker in seen.workers if worker.alive]
    waiting = seen.jobs.get("QUEUED", 0)
    if waiting and not any(worker.role == "analyse" for worker in alive):
        yield NONE.found(waiting=waiting)
    yield WORKERS.well(f"{len(alive)} workers give signs of life")


CERTIFICATES = Check(
    "certificates",
    "Certificates, keys and tokens: readable, fitting, and not about to expire.",
    (UNUSABLE, EXPIRING, NO_ACCESS),
    look_at_certificates,
)
PEERS = Check(
    "peers",
    "The peers of the settings: there, and letting the node in (C-ECHO, a search).",
    (NO_PEER, NOBODY),
    look_at_peers,
)
WORKERS = Check(
    "workers",
    "The workers: alive, and there where something waits for them.",
    (SILENT, NONE),
    look_at_workers,
)

"""The composition root: settings in, one running role of the node out.

Only here are database, store, queue, model and handlers put together; nothing keeps a global.
"""

import functools
import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import ml.weights
from config.errors import SettingsError
from config.settings import Settings
from ml.checkpoint import ModelCard, Thresholds, card_path, read_card
from ml.inference import Precision, Segmenter
from node import adoption, pseudonyms, readiness
from node.audit.syslog import Forwarder, is_first_of, repository_of
from node.audit.trail import Trail, running, trail_of
from node.caller import caller_of
from node.custody import Stores
from node.engine import Queues, fence, migrate, new_executor_id, run_analyser, run_deliverer
from node.listener import listen
from node.reloading import Source, reloading
from node.results.identity import (
    ContentQualification,
    ModelIdentity,
    NodeIdentity,
    model_device_uid,
)
from node.retention import Retention
from node.steps import Analyst, CurrentAnalyst, CurrentDeliverer, Deliverer
from node.workplace import Workplace
from storage.database import Database
from storage.files import FileStore

logger = logging.getLogger(__name__)

PRODUCT_VERSION = version("midline")
Loop = Callable[[threading.Event], None]
"""Goes on until it is told to stop."""
NEVER = Source()
"""Settings that nobody asks to be read again."""
PATIENCE_SECONDS = 10.0
"""At a stop, how long what runs beside a role may take to end; it begins anew after the start."""


def prepare(settings: Settings) -> None:
    """Make the folders, and bring the tables of index and queue to their newest version."""
    database = Database(settings.storage.url)
    files = open_files(settings)
    database.upgrade()
    migrate(database)
    pseudonyms.adopt(database, files)
    database.close()


def open_files(settings: Settings) -> FileStore:
    """Open the store of received files and results."""
    return FileStore(
        settings.storage.folder / "files", reserve_bytes=settings.storage.reserve_bytes
    )


def weights_path(settings: Settings) -> Path:
    """Path of the weights: those of the settings, or the ones that ship with the chosen model."""
    if settings.analysis.weights is not None:
        return settings.analysis.weights
    return ml.weights.path_of(settings.analysis.model)


def load_segmenter(settings: Settings) -> Segmenter:
    """Load the network that the settings name, on their device and in their precision."""
    analysis = settings.analysis
    return Segmenter.load(
        weights_path(settings),
        device=analysis.device,
        precision=Precision(analysis.precision),
        threads=analysis.threads,
    )


def node_identity(settings: Settings) -> NodeIdentity:
    """Name this installation as its results do."""
    identity = settings.identity
    approved = identity.approved_for_diagnosis
    return NodeIdentity(
        ae_title=settings.node.ae_title,
        manufacturer=identity.manufacturer,
        product=identity.product,
        version=PRODUCT_VERSION,
        serial=identity.serial,
        content_qualification=(
            ContentQualification.PRODUCT
            if approved
            else ContentQualification(identity.content_qualification)
        ),
        approved=approved,
        first_series_number=settings.results.first_series_number,
        description=settings.results.description,
    )


def model_identity(settings: Settings, card: ModelCard) -> ModelIdentity:
    """Name the model as its results do; another UID for whatever changes results."""
    decided = replace(card, thresholds=thresholds_of(settings, card))
    choices = hashlib.sha256(decided.device_uid_seed.encode()).hexdigest()
    return ModelIdentity(
        name=card.name,
        version=card.version,
        manufacturer=settings.identity.manufacturer,
        device_uid=model_device_uid(card.weights_sha256, choices),
    )


def thresholds_of(settings: Settings, card: ModelCard) -> Thresholds:
    """Choose where a score becomes a decision: the model's word, as far as the site has no other.

    Raises
    ------
    SettingsError
        If the site's lower score lies above the upper one.
    """
    own, site = card.thresholds, settings.analysis
    lower = own.lower_score if site.lower_score is None else site.lower_score
    upper = own.upper_score if site.upper_score is None else site.upper_score
    if lower > upper:
        raise SettingsError(
            f"analysis: lower_score {lower:g} must not be above upper_score {upper:g}; what is not"
            " set is the model's own"
        )
    return replace(
        own,
        lower_score=lower,
        upper_score=upper,
        minimum_ml=dict(own.minimum_ml) | {str(k): v for k, v in site.minimum_ml.items()},
        minimum_certainty_percent=dict(own.minimum_certainty_percent)
        | {str(k): v for k, v in site.minimum_certainty_percent.items()},
    )


def stores_of(settings: Settings, database: Database, trail: Trail) -> Stores:
    """Name where received instances go."""
    return Stores(
        database=database,
        files=open_files(settings),
        queues=Queues(database.engine),
        max_instance_bytes=settings.node.max_instance_bytes,
        audit=trail.write,
    )


def run_listener(settings: Settings, stop: threading.Event, source: Source = NEVER) -> None:
    """Receive and complete studies until stopped."""
    database = Database(settings.storage.url)
    trail = trail_of(database, settings)
    stores = stores_of(settings, database, trail)
    with running(trail), _beside(functools.partial(adoption.run_until, stores=stores)):
        listen(settings, stores, stop, source)


def run_analysis(settings: Settings, stop: threading.Event, source: Source = NEVER) -> None:
    """Analyse studies until stopped."""
    segmenter = load_segmenter(settings)
    place, trail = _workplace(settings, "analyse", segmenter.card)
    steps = CurrentAnalyst(Analyst(place, segmenter))

    def renew(new: Settings) -> None:
        steps.current = Analyst(_going_by(place, new), segmenter)

    readiness.tell(readiness.READY)
    with running(trail), reloading(source, settings, renew):
        run_analyser(
            place.database,
            steps,
            executor_id=place.executor_id,
            attempts=settings.analysis.step_attempts,
            max_recovery_attempts=settings.analysis.max_recovery_attempts,
            device=segmenter.device,
            liveness=settings.liveness,
            stop=stop,
            on_lost_lease=begin_anew,
        )


def run_delivery(settings: Settings, stop: threading.Event, source: Source = NEVER) -> None:
    """Deliver results until stopped; beside it, remove what is due and forward the trail."""
    card = read_card(card_path(weights_path(settings)))
    place, trail = _workplace(settings, "deliver", card)
    caller = caller_of(settings)
    retention = Retention(stores_of(settings, place.database, trail), settings.retention)
    beside_it: list[Loop] = [retention.run_until]
    repository = repository_of(settings.audit, caller.tls)
    if repository is not None:
        timeout = timedelta(seconds=settings.liveness.dead_after_seconds)
        is_first = functools.partial(
            is_first_of, place.database, place.executor_id, timeout=timeout
        )
        beside_it.append(Forwarder(place.database, repository, is_first=is_first).forward_until)
    steps = CurrentDeliverer(Deliverer(place, settings, caller))

    def renew(new: Settings) -> None:
        steps.current = Deliverer(_going_by(place, new), new, caller_of(new))
        retention.renew(new.retention)

    readiness.tell(readiness.READY)
    with running(trail), _beside(*beside_it), reloading(source, settings, renew):
        run_deliverer(
            place.database,
            steps,
            executor_id=place.executor_id,
            slots=settings.delivery.slots,
            liveness=settings.liveness,
            stop=stop,
            on_lost_lease=begin_anew,
        )


def begin_anew() -> None:
    """Let this process begin its next life at once, whatever it does: others do that now.

    The same program with the same arguments takes its place, and finds the database as it is.
    """
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - its own arguments


@contextmanager
def _beside(*loops: Loop) -> Iterator[None]:
    """Run loops in threads of their own while something else is done."""
    ended = threading.Event()
    threads = [threading.Thread(target=loop, args=(ended,), daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)


def _going_by(place: Workplace, new: Settings) -> Workplace:
    """Let a workplace go by settings that were read again."""
    return replace(place, destinations=new.receivers, notified=new.notified)


def _workplace(settings: Settings, role: str, card: ModelCard) -> tuple[Workplace, Trail]:
    database = Database(settings.storage.url)
    trail = trail_of(database, settings)
    place = Workplace(
        executor_id=new_executor_id(role),
        database=database.fenced(fence),
        files=open_files(settings),
        queues=Queues(database.engine),
        destinations=settings.receivers,
        node=node_identity(settings),
        model=model_identity(settings, card),
        thresholds=thresholds_of(settings, card),
        audit=trail.write,
        notified=settings.notified,
    )
    return place, trail

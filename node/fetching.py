"""Senders that answer queries are asked for their counts, and for the images that are missing.

It goes on beside reception and completion and holds up neither: for each archive one thread works
off its questions, one after the other. What it learns is in the index: the count of a study, and
the images themselves. What it cannot learn, time will tell.
"""

import logging
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

from pydicom.dataset import Dataset
from pynetdicom.events import Event

from config.errors import MidlineError
from config.log import log_scope
from config.settings import QuerySettings, Settings
from ml.readers.pixels import supported_transfer_syntaxes
from node.associations import OpenAssociations
from node.audit import events
from node.audit.receptions import tell_of_reception
from node.custody import Stores, keep
from node.handlers import answer, request_of, status_of
from node.peers import Caller, Peer
from node.query import FIND, encoded_question, get_images, move_images, querying
from node.reception import ReceptionError
from node.status import StoreStatus
from storage.records import StudyRecord

logger = logging.getLogger(__name__)

MOST_FETCHES = 2
"""Of a study; what was not sent by then is left to the sender."""
FIRST_PAUSE = timedelta(seconds=2)
"""Before the next question about a study; doubled each time."""
MOST_DOUBLINGS = 6


@dataclass(frozen=True)
class Inquiry:
    """How far the questions about a study have come.

    Attributes
    ----------
    last_received_at
        Last image of the study as it was asked about; None before the first answer.
    is_answered
        Whether the archive has said how many images there are.
    is_under_way
        Whether a question waits or is being asked.
    next_at
        When to ask again; None if there is no need to.
    num_asked, num_fetches
        How often it was asked and fetched.
    """

    last_received_at: datetime | None = None
    is_answered: bool = False
    is_under_way: bool = True
    next_at: datetime | None = None
    num_asked: int = 0
    num_fetches: int = 0

    def is_of(self, study: StudyRecord) -> bool:
        """Whether nothing has come of the study since it was asked about."""
        return self.last_received_at == study.last_received_at

    def is_open(self, study: StudyRecord, *, now: datetime) -> bool:
        """Whether to ask: images have come since, or it is time to ask again."""
        return not self.is_of(study) or (self.next_at is not None and self.next_at <= now)


class Inquirer:
    """Asks the archives of senders; see `node.completion.Counts`.

    Parameters
    ----------
    stores
        Where fetched images go, and what is known of them.
    settings
        Who answers queries.
    caller
        As whom to call.
    associations
        Who is told that there is news.
    image_classes
        SOP classes that the node receives.
    """

    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        caller: Caller,
        associations: OpenAssociations,
        *,
        image_classes: Collection[str],
    ) -> None:
        self._stores, self._associations = stores, associations
        self._image_classes = tuple(image_classes)
        self.renew(settings, caller)
        self._lines: dict[Peer, SimpleQueue[StudyRecord | None]] = {}
        self._threads: list[threading.Thread] = []
        self._inquiries: dict[int, Inquiry] = {}
        self._lock = threading.Lock()

    def renew(self, settings: Settings, caller: Caller) -> None:
        """Ask others from now on, or otherwise; what is being asked is asked to its end."""
        self._caller = caller
        self._archives = {
            sender.ae_title: sender.query for sender in settings.senders if sender.query is not None
        }

    def has_answered(self, study: StudyRecord, *, now: datetime) -> bool:
        """Whether nothing is to be waited for: the count since the last image is in the index.

        Never waits: a question that is open is put, and its answer is there at a later call.
        """
        archive = self._archives.get(study.calling_ae_title)
        if archive is None:
            return True
        with self._lock:
            last = self._inquiries.get(study.id)
            if last is None or (not last.is_under_way and last.is_open(study, now=now)):
                self._inquiries[study.id] = (
                    Inquiry() if last is None else replace(last, is_under_way=True)
                )
                self._line_of(archive).put(study)
            return last is not None and last.is_answered and last.is_of(study)

    def forget(self, study_id: int) -> None:
        """Ask no more about a study."""
        with self._lock:
            self._inquiries.pop(study_id, None)

    def close(self) -> None:
        """Take no more questions, and wait a little for the one that is being asked."""
        with self._lock:
            self._inquiries.clear()
            for line in self._lines.values():
                line.put(None)
        for thread in self._threads:
            thread.join(timeout=1)

    def _line_of(self, archive: QuerySettings) -> "SimpleQueue[StudyRecord | None]":
        """Find the questions to an archive; the first one starts the thread that asks them."""
        peer = _peer_of(archive)
        if peer not in self._lines:
            line = self._lines[peer] = SimpleQueue()
            thread = threading.Thread(
                target=self._work_off,
                args=(line,),
                name="inquirer",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()
        return self._lines[peer]

    def _work_off(self, line: "SimpleQueue[StudyRecord | None]") -> None:
        while (study := line.get()) is not None:
            with self._lock:
                inquiry = self._inquiries.get(study.id)
            if inquiry is None:
                continue
            with log_scope(study=study.id):
                self._note(study, self._asked(study, inquiry))
            self._associations.announce(frozenset((study.id,)))

    def _note(self, study: StudyRecord, inquiry: Inquiry) -> None:
        with self._lock:
            if study.id in self._inquiries:
                self._inquiries[study.id] = inquiry

    def _asked(self, study: StudyRecord, inquiry: Inquiry) -> Inquiry:
        """Ask once; a failure only means that the answer is still open."""
        num_fetches, is_answered, is_equal = inquiry.num_fetches, False, False
        try:
            archive = self._archives[study.calling_ae_title]
            peer, held = _peer_of(archive), self._held(study)
            listed, count = self._count(study, held, peer)
            is_answered, is_equal = True, count == len(held)
            missing = {series: uids - held for series, uids in listed.items() if uids - held}
            if missing and archive.retrieve != "NONE" and num_fetches < MOST_FETCHES:
                num_fetches += 1
                with self._resumed(study):
                    self._fetch(study, missing, peer, archive.retrieve)
        except MidlineError as error:
            logger.warning("an archive was not asked to the end: %s", error)
        except Exception as error:  # noqa: BLE001 - whatever foreign bytes make of pynetdicom
            logger.warning("an archive was not asked to the end: %s", type(error).__name__)
        pause = FIRST_PAUSE * 2 ** min(inquiry.num_asked, MOST_DOUBLINGS)
        return Inquiry(
            last_received_at=study.last_received_at,
            is_answered=is_answered,
            is_under_way=False,
            next_at=None if is_equal else datetime.now(UTC) + pause,
            num_asked=inquiry.num_asked + 1,
            num_fetches=num_fetches,
        )

    def _held(self, study: StudyRecord) -> frozenset[str]:
        with self._stores.database.read() as transaction:
            images = transaction.arrivals.images(study.id)
        return frozenset(image.sop_instance_uid for image in images)

    def _count(
        self, study: StudyRecord, held: Collection[str], peer: Peer
    ) -> tuple[Mapping[str, frozenset[str]], int]:
        """Count the images of a study at its archive, and list them if the count differs."""
        uid = study.study_instance_uid
        listed: Mapping[str, frozenset[str]] = {}
        asked = events.peer(peer.ae_title, peer.host)
        self._stores.audit(events.queried(asked, FIND, query=encoded_question(uid)))
        with querying(peer, caller=self._caller) as archive:
            counted = archive.count_images(uid)
            total = sum(count or 0 for count in counted.values())
            if None in counted.values() or total != len(held):
                listed = archive.list_images(uid, counted, sop_class_uids=self._image_classes)
                total = sum(map(len, listed.values()))
        logger.info("%d images are held, %s counts %d", len(held), peer, total)
        with self._stores.database.begin() as transaction:
            by = f"C-FIND of {peer.ae_title}"
            transaction.studies.expect(study.id, total, by=by)
        return listed, total

    @contextmanager
    def _resumed(self, study: StudyRecord) -> Iterator[None]:
        """Receive more of a study; what is fetched says nothing of the pauses of its sender."""
        with self._stores.database.begin() as transaction:
            transaction.arrivals.resume(study.id)
        try:
            yield
        finally:
            now = datetime.now(UTC)
            with self._stores.database.begin() as transaction:
                after = transaction.studies.get(study.id)
                if after is not None and after.released_at is None:
                    came = after.last_received_at != study.last_received_at
                    ended_at = now if came else study.released_at or now
                    transaction.arrivals.release((study.id,), now=ended_at)

    def _fetch(
        self, study: StudyRecord, missing: Mapping[str, Collection[str]], peer: Peer, retrieve: str
    ) -> None:
        uid = study.study_instance_uid
        logger.info("%d images are missing, and fetched", sum(map(len, missing.values())))
        if retrieve == "MOVE":
            move_images(peer, uid, missing, caller=self._caller)
            return
        wanted = frozenset(each for uids in missing.values() for each in uids)
        contexts = [
            (sop_class_uid, syntax)
            for sop_class_uid in self._image_classes
            for syntax in supported_transfer_syntaxes()
        ]
        counted: Counter[str] = Counter()
        try:
            get_images(
                peer,
                uid,
                missing,
                caller=self._caller,
                contexts=contexts,
                store=lambda event: self._store(event, study, wanted, counted),
            )
        finally:
            if counted:
                sender = events.peer(peer.ae_title, peer.host)
                tell_of_reception(
                    self._stores.audit, self._stores.database, sender, {study.id: counted}
                )

    def _store(
        self, event: Event, study: StudyRecord, wanted: Collection[str], counted: Counter[str]
    ) -> Dataset:
        """Keep an image that was asked for, unless its sender was faster."""
        try:
            request = request_of(event)
            if request.sop_instance_uid not in wanted:
                raise ReceptionError(  # noqa: TRY301
                    StoreStatus.NOT_AUTHORIZED, "this image was not asked for"
                )
            with self._stores.database.read() as transaction:
                is_held = transaction.arrivals.is_held(request.sop_instance_uid)
            if not is_held:
                keep(request, self._stores, calling_ae_title=study.calling_ae_title)
                counted[request.sop_class_uid] += 1
        except Exception as error:  # noqa: BLE001 - the peer must get a status whatever happens
            status, comment = status_of(error)
            logger.warning("answered 0x%04X: %s", status, comment)
            return answer(status, comment)
        return answer(StoreStatus.SUCCESS)


def _peer_of(archive: QuerySettings) -> Peer:
    return Peer(archive.ae_title, archive.host, archive.port, tls=archive.tls)

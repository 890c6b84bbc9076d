"""Asking an archive what it holds of a study, and for images that are missing here.

Study Root Query/Retrieve as a user (PS3.4 Annex C): C-FIND at the levels of series and images, then
C-GET, on whose association the images come, or C-MOVE, which has them sent to the node's own port.
"""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dsutils import encode
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from config.errors import PeerError, PeerRefusedError, PeerUnavailableError
from ml.readers.attributes import text_of, whole_of
from node.peers import PLAIN_SYNTAXES, VERIFICATION, Caller, Peer, associated

logger = logging.getLogger(__name__)

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
"""Study Root Query/Retrieve Information Model (PS3.4 C.6.2)."""
MOST_MATCHES = 20_000
"""More than any study has images; whoever goes on answering is not listened to."""
UIDS_IN_A_REQUEST = 100
PENDING = (0xFF00, 0xFF01)
"""More follows; 0xFF01 where an optional key was not looked at (PS3.4 Table C.4-1)."""
DONE = (0x0000, 0xB000)
"""All done; 0xB000 where single images failed, which the next look will tell (PS3.4 C.4.2.1.5)."""
CANCELLED = 0xFE00


class Archive:
    """An archive on an open association, asked about a study."""

    def __init__(self, association: Association, peer: Peer) -> None:
        self._association, self._peer = association, peer

    def count_images(self, study_instance_uid: str) -> Mapping[str, int | None]:
        """Ask for the number of images of each CT series of a study; None where it is not told.

        Objects that are no images, such as dose reports under Modality CT, are counted too.

        Raises
        ------
        PeerUnavailableError, PeerRefusedError
            If there is no answer, or one that says no.
        """
        matches = self._find(
            "SERIES",
            StudyInstanceUID=study_instance_uid,
            SeriesInstanceUID="",
            Modality="",
            NumberOfSeriesRelatedInstances="",
        )
        return {
            text_of(match, "SeriesInstanceUID"): whole_of(match, "NumberOfSeriesRelatedInstances")
            for match in matches
            if text_of(match, "Modality") == "CT"
        }

    def list_images(
        self,
        study_instance_uid: str,
        series_instance_uids: Collection[str],
        *,
        sop_class_uids: Collection[str],
    ) -> Mapping[str, frozenset[str]]:
        """Ask for the SOP Instance UIDs of some series, without those known to be of other classes.

        Raises
        ------
        PeerUnavailableError, PeerRefusedError
            As `count_images`.
        """
        listed = {}
        for series_instance_uid in sorted(series_instance_uids):
            matches = self._find(
                "IMAGE",
                StudyInstanceUID=study_instance_uid,
                SeriesInstanceUID=series_instance_uid,
                SOPInstanceUID="",
                SOPClassUID="",
            )
            listed[series_instance_uid] = frozenset(
                text_of(match, "SOPInstanceUID")
                for match in matches
                if text_of(match, "SOPClassUID") in ("", *sop_class_uids)
            )
        return listed

    def _find(self, level: str, **keys: str) -> list[Dataset]:
        """Send one query; its matches."""
        matches = []
        answers = self._association.send_c_find(_identifier(level, **keys), FIND)
        for match in _answers(answers, "C-FIND", self._peer):
            if match is not None:
                matches.append(match)
            if len(matches) > MOST_MATCHES:
                self._association.abort()
                raise PeerRefusedError(f"{self._peer} answers C-FIND without end")
        return matches


@contextlib.contextmanager
def querying(peer: Peer, *, caller: Caller) -> Iterator[Archive]:
    """Open an association to ask an archive on.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        As `associated`; also if the archive answers no queries of the Study Root model.
    """
    with _calling(peer, [build_context(FIND, list(PLAIN_SYNTAXES))], caller=caller) as association:
        yield Archive(association, peer)


def get_images(
    peer: Peer,
    study_instance_uid: str,
    missing: Mapping[str, Collection[str]],
    *,
    caller: Caller,
    contexts: Sequence[tuple[str, str]],
    store: Callable[[Event], Dataset],
) -> None:
    """Have images sent on the node's own association (C-GET, PS3.4 C.4.3).

    Parameters
    ----------
    peer
        The archive.
    study_instance_uid
        The study.
    missing
        SOP Instance UIDs by Series Instance UID.
    caller
        As whom to call.
    contexts
        SOP classes and transfer syntaxes in which images may come.
    store
        Keeps an image; gives back the status for it.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        If the archive cannot or does not want to.
    """
    proposed = [build_context(GET, list(PLAIN_SYNTAXES))]
    proposed += [build_context(*each) for each in contexts]
    roles = [build_role(each, scp_role=True) for each in sorted({each for each, _ in contexts})]
    handlers = [(evt.EVT_C_STORE, store)]
    with _calling(peer, proposed, caller=caller, roles=roles, handlers=handlers) as association:
        for identifier in _requests(study_instance_uid, missing):
            for _ in _answers(association.send_c_get(identifier, GET), "C-GET", peer):
                pass


def move_images(
    peer: Peer,
    study_instance_uid: str,
    missing: Mapping[str, Collection[str]],
    *,
    caller: Caller,
) -> None:
    """Have images sent to the node's own port (C-MOVE, PS3.4 C.4.2); the archive must know it.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        If the archive cannot or does not want to.
    """
    proposed = [build_context(MOVE, list(PLAIN_SYNTAXES))]
    with _calling(peer, proposed, caller=caller) as association:
        for identifier in _requests(study_instance_uid, missing):
            answers = association.send_c_move(identifier, caller.ae_title, MOVE)
            for _ in _answers(answers, "C-MOVE", peer):
                pass


@contextlib.contextmanager
def _calling(
    peer: Peer, contexts: Sequence[PresentationContext], **options: object
) -> Iterator[Association]:
    """Open an association for one service, and name its end as our errors do."""
    service = contexts[0].abstract_syntax
    # without any accepted context there is no association on which to tell what was refused
    proposed = [*contexts, build_context(VERIFICATION)]
    with associated(peer, proposed, **options) as association:  # type: ignore[arg-type]
        if service not in {each.abstract_syntax for each in association.accepted_contexts}:
            raise PeerRefusedError(f"{peer} does not offer SOP class {service}")
        try:
            yield association
        except RuntimeError as error:  # pynetdicom, of an association that is no more
            raise PeerUnavailableError(f"the association with {peer} ended") from error


def _requests(study_instance_uid: str, missing: Mapping[str, Collection[str]]) -> Iterator[Dataset]:
    """Make identifiers that ask for images: of one series each, not too many at a time."""
    for series_instance_uid, uids in missing.items():
        ordered = sorted(uids)
        for first in range(0, len(ordered), UIDS_IN_A_REQUEST):
            yield _identifier(
                "IMAGE",
                StudyInstanceUID=study_instance_uid,
                SeriesInstanceUID=series_instance_uid,
                SOPInstanceUID=ordered[first : first + UIDS_IN_A_REQUEST],
            )


def encoded_question(study_instance_uid: str) -> bytes:
    """Encode what is asked about a study, in Implicit VR Little Endian; for the audit trail."""
    identifier = _identifier("SERIES", StudyInstanceUID=study_instance_uid)
    encoded = encode(identifier, is_implicit_vr=True, is_little_endian=True)
    return encoded or b""


def _identifier(level: str, **keys: object) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _answers(
    answers: Iterator[tuple[Dataset, Dataset | None]], service: str, peer: Peer
) -> Iterator[Dataset | None]:
    """Walk through the responses of an operation: the identifier of each that is pending.

    Raises
    ------
    PeerUnavailableError
        If a response is missing, or one says that there is no room or time for the operation.
    PeerRefusedError
        If one says that it will not be done.
    """
    for response, identifier in answers:
        status = response.get("Status")
        if status is None:
            raise PeerUnavailableError(f"{peer} did not answer {service} in time")
        if status in PENDING:
            yield identifier
        elif status not in DONE:
            raise _refusal(int(status), service, peer)
        elif status:
            num_failed = response.get("NumberOfFailedSuboperations") or "some"
            logger.warning("%s: %s images could not be sent by %s", peer, num_failed, service)


def _refusal(status: int, service: str, peer: Peer) -> PeerError:
    """Name a final status that is no success (PS3.4 Tables C.4-1 to C.4-3)."""
    is_passing = status == CANCELLED or 0xA700 <= status <= 0xA7FF
    text = f"{peer} answered {service} with status 0x{status:04X}"
    return PeerUnavailableError(text) if is_passing else PeerRefusedError(text)

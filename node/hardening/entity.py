"""An application entity that says who made it, and what it takes."""

from pydicom.uid import UID
from pynetdicom import AE

from node.hardening.bounds import SHARED_DATA_SETS, Limits, Room
from node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


class HardAE(AE):
    """Application entity with limits for what its peers send.

    Attributes
    ----------
    limits
        For each of its connections.
    room
        For all of its connections together.
    """

    def __init__(self, ae_title: str, limits: Limits | None = None) -> None:
        super().__init__(ae_title=ae_title)
        self.limits = Limits() if limits is None else limits
        self.room = Room(SHARED_DATA_SETS * self.limits.data_set_bytes)
        self.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        self.implementation_version_name = IMPLEMENTATION_VERSION_NAME

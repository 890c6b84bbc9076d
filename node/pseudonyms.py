"""What stands for a patient in the index and in the audit trail: a keyed digest.

::

    issuer, Patient ID ─SHA-256─▶ digest ─HMAC with the site's key─▶ "h1:…"

The digest alone was kept by earlier versions, and is undone by trying all Patient IDs. As the key
is put on the digest, what they kept is keyed too, without knowing any ID (`adopt`).
"""

import hashlib
import hmac
import logging

from pydicom.dataset import Dataset

from config.errors import StorageError
from storage.database import Database
from storage.files import FileStore

logger = logging.getLogger(__name__)

PREFIX = "h1:"
"""Version of the keys, so that another way can follow."""


def digest_of(header: Dataset) -> str:
    """Make the digest of a Patient ID and its issuer; no secret to whoever tries all of them."""
    issuer, patient_id = (_text(header, name) for name in ("IssuerOfPatientID", "PatientID"))
    return hashlib.sha256(f"{issuer}\0{patient_id}".encode()).hexdigest()


def keyed(digest: str, *, site_key: bytes) -> str:
    """Make of a digest what stands for the patient at this site alone."""
    return PREFIX + hmac.new(site_key, digest.encode(), hashlib.sha256).hexdigest()


def patient_key(header: Dataset, *, site_key: bytes) -> str:
    """Make what stands for the patient of an object at this site alone."""
    return keyed(digest_of(header), site_key=site_key)


def adopt(database: Database, files: FileStore) -> None:
    """Key what an earlier version kept as plain digests; when nothing else runs yet.

    Raises
    ------
    StorageError
        If the index was written with a key that is gone: another one would know no patient.
    """
    with database.begin() as transaction:
        if transaction.patients.have(PREFIX) and not files.has_site_key:
            raise StorageError(
                f"{files.root}/site.key is missing, with which the index was written: bring it "
                "back from a backup, or no image can be told to be of a known patient"
            )
        site_key = files.site_key
        renamed = transaction.patients.rename(
            lambda digest: keyed(digest, site_key=site_key), unless_prefix=PREFIX
        )
    if renamed:
        logger.info("the patients of %d studies are kept under the site's key now", renamed)


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value).strip().rstrip("\0")

"""Names of patients and studies in a data set: hashes, never what the source calls them.

A plain SHA-256 hides an identifier from the eye only: whoever guesses it can check the guess. With
a secret key (HMAC, RFC 2104) nobody without the key can. The name space is hashed along, so that
patient 001 of one collection is not patient 001 of another; collections that share patients share
the name space, and their data sets show it by equal hashes.
"""

import hashlib
import hmac
from dataclasses import dataclass

_HEX_DIGITS = 16
"""64 bits: a collision among a million patients has a chance of 3e-8."""


@dataclass(frozen=True)
class Pseudonyms:
    """How identifiers become hashes.

    Attributes
    ----------
    name_space
        Of the source's identifiers.
    key
        Secret; empty for plain SHA-256.
    """

    name_space: str
    key: bytes = b""

    def of_patient(self, patient: str) -> str:
        """Hash of a patient, 16 hexadecimal digits."""
        return self._hash("patient", patient)

    def of_study(self, patient: str, study: str) -> str:
        """Hash of a study, 16 hexadecimal digits."""
        return self._hash("study", patient, study)

    def _hash(self, *parts: str) -> str:
        text = "\0".join((self.name_space, *parts)).encode()
        if self.key:
            return hmac.new(self.key, text, hashlib.sha256).hexdigest()[:_HEX_DIGITS]
        return hashlib.sha256(text).hexdigest()[:_HEX_DIGITS]

"""What descriptions say about a series: evidence for and against a plain CT of the head.

Descriptions are free text in the language of the site, so they are searched for stems. They are
evidence, no proof: a series without any description passes, and `ml.quality` looks at the voxels.
"""

import re
import unicodedata
from collections.abc import Iterable

MOST_CHARACTERS = 1024
"""Of a description; the standard allows 64 (PS3.5 6.2, LO), and accents take squared time."""

HEAD_STEMS = (
    "HEAD", "BRAIN", "SKULL", "CRANI", "CRANE", "NEURO", "CEREBR", "CEPHAL", "STROKE",
    "KOPF", "SCHADEL", "SCHAEDEL", "HIRN",  # German
    "ENCEFAL", "CABEZA", "CABECA", "CEREBEL",  # Spanish, Portuguese, Italian
    "HERSEN", "SCHEDEL", "HOOFD",  # Dutch
    "HOVED", "HUVUD", "HJERNE", "HJARN", "SKALLE",  # Danish, Norwegian, Swedish
    "AIVO", "KALLO",  # Finnish
    "GLOW", "MOZG", "CZASZK", "HLAV", "MOZEK", "LEBK", "KOPONYA",  # Polish, Czech, Hungarian
    "BEYIN", "KRANI", "KEFAL", "ENKEFAL",  # Turkish, Greek in Latin letters
    "ГОЛОВ", "МОЗГ", "ЧЕРЕП", "ΕΓΚΕΦΑΛ", "ΚΕΦΑΛ", "ΚΡΑΝΙ",
    "头", "颅", "脑", "頭", "顱", "腦", "脳", "두부", "뇌", "머리", "رأس", "دماغ", "ראש", "מוח",
)  # fmt: skip
HEAD_WORDS = ("TETE", "TESTA", "CCT", "CTH", "NCCT", "PAA", "KAFA")

OTHER_STEMS = (
    "ANGIO", "PERFUS", "VENOGR", "SINUS", "ORBIT", "PETROUS", "MASTOID", "TEMPORAL BONE",
    "FELSENBEIN", "ROCHER", "FACIAL", "MAXILL", "MANDIB", "DENTAL", "CERVIC", "SPINE", "SPINAL",
    "WIRBEL", "RACHIS", "LUMBAR", "THORA", "CHEST", "ABDOM", "PELVI", "LARYN", "MITTELGESICHT",
    "MONITORING", "TOPOGRAM", "LOCALI", "SCANOGRAM", "SURVIEW",
)  # fmt: skip
OTHER_WORDS = (
    "CTA", "CTP", "CTV", "CTPA", "NNH", "HWS", "BWS", "LWS", "IAC", "IAM", "TMJ", "NECK", "HALS",
    "FACE", "BOLUS", "TRACKER", "SCOUT", "TOPO", "DOSE", "SUMMARY", "MIP", "VRT",
)  # fmt: skip

_MEDIUM = r"(?:I\.?V\.?[\s._-]*)?(?:CON(?:TRAST\w*)?|KONTRAST\w*|KM|MDC|INJ\w*|ENHANCE\w*|C)\b"
# at most two words in between ("without any", "sans produit de"), but not "without and with"
_BETWEEN = r"(?:[\s._-]+(?!W\b|WITH\b|AND\b|MIT\b|UND\b|AVEC\b|ET\b|CON\b)\w+){0,2}?[\s./_-]*"
_NO_MEDIUM = re.compile(
    r"\bNATIV\w*|\bPLAIN\b|\bUNENHANCED\b|\bN[CE]CT\b"
    rf"|\b(?:W\s?/?O|WITHOUT|OHNE|SANS|SENZA|SIN|SEM|ZONDER|UTAN|UDEN|UTEN)\b(?:{_BETWEEN}{_MEDIUM})?"
    rf"|\b(?:NO|NON|NOT|UN|PRE|BEZ)[\s./_-]*{_MEDIUM}"
)
_CONTRAST = re.compile(
    r"CONTRAST|KONTRAST|\bI\.?V\.?[\s_-]*CON\b|\bMDC\b|\bKM\b|\bC\s?\+|\+\s?C\b|\bCECT\b"
    r"|\bINJECT|\bPOST[\s_-]*(?:CON|KM|INJ|IV)|\b(?:ARTERIAL|VENOUS|DELAYED)\b"
)
_ABSENT_AGENTS = frozenset(
    ("", "0", "N", "NO", "NONE", "NA", "N A", "NIL", "NULL", "NATIV", "NATIVE", "PLAIN", "KEINE",
     "KEIN", "OHNE", "SANS", "WITHOUT", "NON CONTRAST", "NO CONTRAST", "NONCONTRAST", "AUCUN")
)  # fmt: skip
_TRANSCRIBED = str.maketrans({"Ø": "O", "Ł": "L", "Æ": "AE", "ẞ": "SS", "Đ": "D", "ß": "SS"})
_KERNEL_NUMBER = re.compile(r"\b(?:[HBUIJ][A-Z]?|Q[A-Z])(\d\d)")
_CANON_KERNEL = re.compile(r"\bFC(\d\d)\b")
_BONE_KERNEL = re.compile(r"BONE|EDGE|LUNG|DETAIL|SHARP|^Y[A-E]$|^[DE]$")


def names_a_head(texts: Iterable[str]) -> bool | None:
    """Tell whether one of several descriptions names a head; None if there is no description."""
    searched = [_words(text) for text in texts if text.strip()]
    if not searched:
        return None
    return any(_found(text, HEAD_STEMS, HEAD_WORDS) for text in searched)


def other_examination(series_description: str, protocol_name: str) -> str:
    """Find a term for an examination other than a plain head; empty if there is none.

    A protocol may cover more than the series (head and neck after a trauma): it counts only where
    the series itself is not called a head.
    """
    term = _found(_words(series_description), OTHER_STEMS, OTHER_WORDS)
    if term or names_a_head([series_description]):
        return term
    return _found(_words(protocol_name), OTHER_STEMS, OTHER_WORDS)


def names_contrast(series_description: str, protocol_name: str) -> bool:
    """Tell whether the description of a series says that contrast medium was given.

    If it says nothing about it, the protocol is asked.
    """
    for text in (series_description, protocol_name):
        folded = _folded(text).replace("_", " ")
        without, count = _NO_MEDIUM.subn(" ", folded)
        if _CONTRAST.search(without):
            return True
        if count:
            return False
    return False


def is_agent(contrast_bolus_agent: str) -> bool:
    """Tell whether a Contrast/Bolus Agent is one; some senders write that there is none."""
    return " ".join(_words(contrast_bolus_agent).split()) not in _ABSENT_AGENTS


def is_hard_kernel(convolution_kernel: str) -> bool:
    """Tell whether a kernel is made for bone or lung, by the names of the large manufacturers."""
    kernel = convolution_kernel.upper()
    number = _KERNEL_NUMBER.search(kernel)
    if number:
        return int(number[1]) >= 50
    canon = _CANON_KERNEL.search(kernel)
    if canon:
        return int(canon[1]) // 10 in (3, 5, 8)
    return bool(_BONE_KERNEL.search(kernel))


def _folded(text: str) -> str:
    """Upper case without accents: umlauts lose their dots, as in many a description."""
    text = text[:MOST_CHARACTERS]
    decomposed = unicodedata.normalize("NFKD", text.upper().translate(_TRANSCRIBED))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _words(text: str) -> str:
    """Fold a text to words between spaces; CamelCase and punctuation part words."""
    parted = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", text)
    words = re.sub(r"[\W_]+", " ", _folded(parted)).strip()
    return f" {words} "


def _found(words: str, stems: Iterable[str], whole: Iterable[str]) -> str:
    for stem in stems:
        if _folded(stem) in words:
            return stem
    return next((word for word in whole if f" {word} " in words), "")

"""Changes of an encoded data set that know what an element is (PS3.5 7.1).

A flipped byte mostly makes an image of another patient or nothing at all. To get past the first
checks a change has to leave the rest whole: an element is given another value, representation or
length, left out, doubled, moved or nested.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.fuzz.seeds import tags

LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"))
"""Value representations whose length takes four bytes, in Explicit VR."""
REPRESENTATIONS = (
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"OB",
    b"OV", b"OW", b"PN", b"SH", b"SL", b"SQ", b"SS", b"ST", b"SV", b"TM", b"UC", b"UI", b"UL",
    b"UN", b"UR", b"US", b"UT", b"UV", b"\0\0", b"zz", b"ZZ", b"\xff\xff",
)  # fmt: skip
NUMBERS = (b"DS", b"FD", b"IS", b"SV", b"UV")
"""Value representations that hold larger numbers than most attributes should."""
VALUES = (
    b"", b"\0", b" ", b"\\", b"\\\\\\", b"0", b"-1", b"1", b"8", b"9" * 16, b"9" * 400, b"1e308",
    b"-1e308", b"1e-320", b"nan", b"inf", b"0x10", b"1\\0\\0\\0\\1\\0", b"0\\0\\0", b"1\\2", b"CT",
    b"MR", b"HU", b"ORIGINAL\\PRIMARY\\AXIAL", b"DERIVED\\SECONDARY\\LOCALIZER", b"MONOCHROME2",
    b"ISO_IR 192", b"ISO 2022 IR 87", b"GB18030", b"no such set", b"../../etc/passwd",
    b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.1.2.1.99", b"1." * 40, b"\xff\xff",
    b"\xff\xff\xff\xff", b"\x00\x80", b"\x10\0", b"\1\0", b"\x1b$B\xff", b"\xc3\x28", b"a" * 70,
)  # fmt: skip
DOUBLES = (0.0, -1.0, 1e-320, 1e16, 1e38, -1e200, 1e308, float("nan"), float("inf"))
LENGTHS = (0, 1, 2, 0x7F, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
DEEPEST = 40


@dataclass(frozen=True)
class Element:
    """One element in Explicit VR Little Endian; `announced` is its length if that is a lie."""

    tag: int
    vr: bytes
    value: bytes
    announced: int | None = None

    def encoded(self) -> bytes:
        """Bytes of tag, representation, length and value."""
        length = len(self.value) if self.announced is None else self.announced
        start = struct.pack("<HH2s", self.tag >> 16, self.tag & 0xFFFF, self.vr)
        if self.vr in LONG:
            return start + struct.pack("<HL", 0, length & 0xFFFFFFFF) + self.value
        return start + struct.pack("<H", length & 0xFFFF) + self.value


def parsed(data_set: bytes) -> tuple[list[Element], bytes]:
    """Part a data set in Explicit VR Little Endian into elements, and what is none any more."""
    elements: list[Element] = []
    at = 0
    while len(data_set) - at >= 8:
        group, number, vr, length = struct.unpack_from("<HH2sH", data_set, at)
        start = at + 8
        if vr in LONG:
            if len(data_set) < at + 12:
                break
            (length,) = struct.unpack_from("<L", data_set, at + 8)
            start += 4
        if not vr.isalpha() or start + length > len(data_set):
            break
        elements.append(Element(group << 16 | number, vr, data_set[start : start + length]))
        at = start + length
    return elements, data_set[at:]


def mutated(data_set: bytes, random: Random) -> bytes:
    """Change a data set in one to four places; one that cannot be parsed, byte by byte."""
    elements, rest = parsed(data_set)
    if len(elements) < 3 or random.random() < 0.1:
        return spoilt(data_set, random)
    for _ in range(random.randint(1, 4)):
        if elements:
            random.choice(_CHANGES)(elements, random)
    return b"".join(element.encoded() for element in elements) + rest


def spoilt(content: bytes, random: Random) -> bytes:
    """Change bytes, cut the end off, or put something between."""
    changed = bytearray(content)
    kind = random.randrange(4)
    if kind == 0:
        del changed[random.randint(0, len(changed)) :]
    elif kind == 1:
        at = random.randint(0, len(changed))
        changed[at:at] = random.choice(VALUES)
    elif changed:
        for _ in range(random.randint(1, 8)):
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _value(random: Random) -> bytes:
    kind = random.randrange(8)
    if kind == 0:
        return bytes(random.randrange(256) for _ in range(random.randrange(24)))
    if kind == 1:
        return struct.pack("<H", random.randrange(1 << 16))
    if kind == 2:
        return struct.pack("<d", random.choice(DOUBLES))
    if kind == 3:
        parts = [random.choice(VALUES) for _ in range(random.randint(2, 7))]
        return b"\\".join(parts)
    return random.choice(VALUES)


def _revalue(elements: list[Element], random: Random) -> None:
    at = random.randrange(len(elements))
    elements[at] = replace(elements[at], value=_value(random))


def _revalue_what_is_looked_at(elements: list[Element], random: Random) -> None:
    looked_at = tags()
    places = [at for at, element in enumerate(elements) if element.tag in looked_at]
    if places:
        at = random.choice(places)
        vr = random.choice(NUMBERS) if random.random() < 0.2 else elements[at].vr
        elements[at] = replace(elements[at], vr=vr, value=_value(random))


def _spoil_value(elements: list[Element], random: Random) -> None:
    at = random.randrange(len(elements))
    elements[at] = replace(elements[at], value=spoilt(elements[at].value, random))


def _spoil_pixels(elements: list[Element], random: Random) -> None:
    elements[-1] = replace(elements[-1], value=spoilt(elements[-1].value, random))


def _represent(elements: list[Element], random: Random) -> None:
    at = random.randrange(len(elements))
    elements[at] = replace(elements[at], vr=random.choice(REPRESENTATIONS))


def _announce(elements: list[Element], random: Random) -> None:
    at = random.randrange(len(elements))
    real = len(elements[at].value)
    announced = random.choice([*LENGTHS, real + 1, max(real - 1, 0), real * 2])
    elements[at] = replace(elements[at], announced=announced)


def _remove(elements: list[Element], random: Random) -> None:
    del elements[random.randrange(len(elements))]


def _double(elements: list[Element], random: Random) -> None:
    elements.insert(random.randint(0, len(elements)), random.choice(elements))


def _move(elements: list[Element], random: Random) -> None:
    element = elements.pop(random.randrange(len(elements)))
    elements.insert(random.randint(0, len(elements)), element)


def _add(elements: list[Element], random: Random) -> None:
    tag, vr = random.choice(list(tags().items()))
    at = next((at for at, other in enumerate(elements) if other.tag >= tag), len(elements))
    elements.insert(at, Element(tag, vr, _value(random)))


def _nest(elements: list[Element], random: Random) -> None:
    """Put elements into a sequence, perhaps into sequences in sequences."""
    tag = random.choice([tag for tag, vr in tags().items() if vr == b"SQ"])
    inner = b"".join(random.choice(elements).encoded() for _ in range(random.randrange(4)))
    for _ in range(random.choice([1, 1, 2, DEEPEST])):
        inner = _sequence(tag, [inner] * random.choice([1, 1, 3]), random)[:8192]
    elements.insert(random.randrange(len(elements)), _element_of(inner))


def _sequence(tag: int, items: Sequence[bytes], random: Random) -> bytes:
    open_items = random.random() < 0.5
    encoded = b"".join(
        b"\xfe\xff\0\xe0\xff\xff\xff\xff" + item + b"\xfe\xff\x0d\xe0\0\0\0\0"
        if open_items
        else b"\xfe\xff\0\xe0" + struct.pack("<L", len(item)) + item
        for item in items
    )
    if random.random() < 0.5:
        return Element(tag, b"SQ", encoded).encoded()
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    return Element(tag, b"SQ", encoded + end, announced=0xFFFFFFFF).encoded()


def _element_of(encoded: bytes) -> Element:
    group, number, vr, _, length = struct.unpack_from("<HH2sHL", encoded)
    announced = length if length == 0xFFFFFFFF else None
    return Element(group << 16 | number, vr, encoded[12:], announced)


_CHANGES: tuple[Callable[[list[Element], Random], None], ...] = (
    _revalue,
    _revalue_what_is_looked_at,
    _revalue_what_is_looked_at,
    _revalue_what_is_looked_at,
    _spoil_value,
    _spoil_pixels,
    _represent,
    _announce,
    _remove,
    _double,
    _move,
    _add,
    _add,
    _nest,
)

"""Studies to send, made once and renewed as often as wanted, each time under other UIDs.

To a node that knows a study its copy is a duplicate, and takes another way. Encoding anew would
load the machine that is measured; here a token of constant length, of which all UIDs are made, is
exchanged in the encoded files.
"""

import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from ml.phantom import make_phantom, write_series
from ml.volume import Subtype
from tests.support.ct_series import even_heights, head_series, stack

TOKEN = "0" * 20
"""Stands in a template for what tells copies apart."""
_counter = itertools.count(time.time_ns())


def new_token() -> str:
    """Make a token that no other copy has: as many digits as `TOKEN`."""
    return f"1{next(_counter):019d}"


def study_uid(token: str) -> str:
    """Return the Study Instance UID of a copy."""
    return f"2.25.9{token}1"


@dataclass(frozen=True)
class Template:
    """The encoded images of one study.

    Attributes
    ----------
    files
        Each as a DICOM file (PS3.10).
    """

    files: tuple[bytes, ...]

    @property
    def num_bytes(self) -> int:
        """Size of all images."""
        return sum(map(len, self.files))

    def write(self, folder: Path, token: str) -> list[Path]:
        """Write a copy into a folder; the paths of its images in their order."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number, content in enumerate(self.files):
            path = folder / f"{number:06d}.dcm"
            path.write_bytes(content.replace(TOKEN.encode(), token.encode()))
            paths.append(path)
        return paths


def template_of(images: Iterable[Dataset]) -> Template:
    """Encode images as those of one study whose UIDs hold the token."""
    files = []
    for number, image in enumerate(images):
        image.StudyInstanceUID = study_uid(TOKEN)
        image.SeriesInstanceUID = f"2.25.9{TOKEN}2"
        image.FrameOfReferenceUID = f"2.25.9{TOKEN}3"
        image.SOPInstanceUID = f"2.25.9{TOKEN}4{number:06d}"
        image.PatientID, image.PatientName = f"S{TOKEN}", f"Synthetic^{TOKEN}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        buffer = BytesIO()
        dcmwrite(buffer, image, enforce_file_format=True)
        files.append(buffer.getvalue())
    return Template(tuple(files))


def large_images(num: int) -> Template:
    """Make CT images of 512 x 512, half a megabyte each."""
    grid = stack(even_heights(num, 1.5), size=512, pixel_mm=0.45)
    return template_of(head_series(grid))


def tiny_head() -> Template:
    """Make the smallest study that is analysed as a head: 30 slices of 64 x 64."""
    return template_of(head_series(stack(even_heights(30, 5.0), size=64, pixel_mm=3.6)))


def whole_head(folder: Path, *, seed: int = 2_000_001) -> Template:
    """Make a head with a bleed as a scanner does: 32 slices of 512 x 512, 5 mm."""
    phantom = make_phantom(seed, (Subtype.IPH,))
    paths = write_series(phantom, folder, seed=1, patient_id="SYNTHETIC")
    return template_of(dcmread(path) for path in paths)


def dealt(files: Sequence[Path], num_shares: int) -> list[list[Path]]:
    """Deal files out in turn to as many senders."""
    return [list(files[number::num_shares]) for number in range(num_shares)]

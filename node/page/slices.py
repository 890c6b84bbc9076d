"""Slices with what was outlined in them, drawn from the stored images and the stored mask.

Of each subtype the slice is shown on which most of it lies. Nothing of the images' headers is
drawn; the sentence that every result carries is.
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass

from config.errors import InputError, StorageError
from storage.database import Database
from storage.files import FileStore

MOST_REMEMBERED = 50
"""Jobs whose pictures are kept in memory, about 200 kB each."""
SEGMENTATION = "SEG"


@dataclass(frozen=True)
class Picture:
    """A slice, drawn.

    Attributes
    ----------
    caption
        Which subtype, and which slice.
    png
        The picture.
    width, height
        Pixels.
    """

    caption: str
    png: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Drawn:
    """What can be shown of a job; `missing` says why there is nothing."""

    pictures: tuple[Picture, ...] = ()
    missing: str = ""


class Slices:
    """Draws the slices of a job once, one job at a time.

    Parameters
    ----------
    database, files
        Where job, images and results are.
    disclaimer
        Drawn on each picture.
    """

    def __init__(self, database: Database, files: FileStore, *, disclaimer: str) -> None:
        self._database, self._files, self._disclaimer = database, files, disclaimer
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[int, int], Drawn] = OrderedDict()

    def of_job(self, job_id: int, run: int) -> Drawn:
        """Draw the slices of a job's run, or take what was drawn before."""
        with self._lock:
            key = (job_id, run)
            if key not in self._held:
                self._held[key] = self._draw(job_id)
                while len(self._held) > MOST_REMEMBERED:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
            return self._held[key]

    def _draw(self, job_id: int) -> Drawn:
        with self._database.read() as transaction:
            job = transaction.jobs.get(job_id)
            results = transaction.results.of_job(job_id)
        masks = [each.path for each in results if each.kind == SEGMENTATION]
        if job is None or job.analysed_json is None or not masks:
            return Drawn(missing="No mask was written.")
        images = [self._files.path(path) for path in json.loads(job.analysed_json)["files"]]
        from node.page.pictures import draw_key_slices  # noqa: PLC0415 - torch takes seconds

        try:
            drawn = draw_key_slices(images, self._files.path(masks[-1]), self._disclaimer)
            pictures = tuple(Picture(*each) for each in drawn)
        except (InputError, StorageError, OSError):
            return Drawn(missing="The images or the mask are not in the store any more.")
        return Drawn(pictures, missing="" if pictures else "Nothing is outlined.")

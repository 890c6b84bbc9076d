"""Pictures in a terminal: by the protocols of kitty and iTerm2 where they are spoken, else blocks.

Whether a terminal speaks one is read from the environment: nothing is sent to ask.
"""

import base64
import os
import sys
from collections.abc import Mapping
from enum import Enum
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image
from rich.console import Console
from rich.style import Style
from rich.text import Text

from config.errors import UsageError
from config.settings import Settings
from node.cli.output import console
from node.operating.desk import open_files
from node.operating.jobs import JobDetail
from storage.database import Database

if TYPE_CHECKING:
    from node.page.slices import Drawn

COLUMNS = 80
"""A picture of blocks is at most so wide."""
UPPER_HALF = "▀"
KITTY_CHUNK = 4096
"""So many characters of base64 go into one message (kitty's graphics protocol)."""


class Protocol(Enum):
    """How a terminal is given a picture."""

    KITTY = "kitty"
    ITERM2 = "iTerm2"
    BLOCKS = "blocks"


def protocol_of(environment: Mapping[str, str]) -> Protocol:
    """Choose the protocol of the terminal that the environment tells of."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term.startswith(("screen", "tmux")):  # neither hands pictures on
        return Protocol.BLOCKS
    if "KITTY_WINDOW_ID" in environment or term in ("xterm-kitty", "xterm-ghostty"):
        return Protocol.KITTY
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return Protocol.ITERM2
    return Protocol.BLOCKS


def draw(database: Database, settings: Settings, job: JobDetail) -> "Drawn":
    """Draw the key slices of a job, from the images and the mask in the store.

    Raises
    ------
    UsageError
        If standard output is no terminal.
    """
    if not sys.stdout.isatty():
        raise UsageError("--picture needs a terminal")
    from node.page.slices import Slices  # noqa: PLC0415 - only this draws
    from node.results.outcomes import APPROVED_DISCLAIMER, DISCLAIMER  # noqa: PLC0415

    disclaimer = APPROVED_DISCLAIMER if settings.identity.approved_for_diagnosis else DISCLAIMER
    slices = Slices(database, open_files(settings.storage.folder), disclaimer=disclaimer)
    return slices.of_job(job.id, job.run)


def write_drawn(drawn: "Drawn") -> None:
    """Write pictures to the terminal, or why there are none."""
    terminal, protocol = console(), protocol_of(os.environ)
    for picture in drawn.pictures:
        terminal.print(picture.caption)
        write_picture(picture.png, terminal, protocol)
    if drawn.missing:
        terminal.print(drawn.missing)


def write_picture(png: bytes, terminal: Console, protocol: Protocol) -> None:
    """Write a picture to a terminal.

    Parameters
    ----------
    png
        The picture.
    terminal
        Where it goes.
    protocol
        That it speaks.
    """
    match protocol:
        case Protocol.KITTY:
            sys.stdout.write(as_kitty(png) + "\n")
        case Protocol.ITERM2:
            sys.stdout.write(as_iterm2(png) + "\n")
        case Protocol.BLOCKS:
            with Image.open(BytesIO(png)) as image:
                terminal.print(as_blocks(image, min(terminal.width, COLUMNS)))
    sys.stdout.flush()


def as_kitty(png: bytes) -> str:
    """Write a picture as kitty takes it, in several messages."""
    text = base64.b64encode(png).decode()
    chunks = [text[start : start + KITTY_CHUNK] for start in range(0, len(text), KITTY_CHUNK)]
    last = len(chunks) - 1
    return "".join(
        f"\x1b_G{'a=T,f=100,' if number == 0 else ''}m={int(number < last)};{chunk}\x1b\\"
        for number, chunk in enumerate(chunks)
    )


def as_iterm2(png: bytes) -> str:
    """Write a picture as iTerm2 takes it."""
    text = base64.b64encode(png).decode()
    return f"\x1b]1337;File=inline=1;size={len(png)}:{text}\x07"


def as_blocks(image: Image.Image, columns: int) -> Text:
    """Write a picture as half blocks, of which each holds two pixels, one above the other."""
    width = min(columns, image.width)
    height = max(2, round(image.height * width / image.width / 2) * 2)
    small = image.convert("RGB").resize((width, height))
    pixels = small.load()
    if pixels is None:
        return Text()
    text = Text(end="")
    for row in range(0, height, 2):
        for column in range(width):
            upper, lower = pixels[column, row], pixels[column, row + 1]
            text.append(UPPER_HALF, Style(color=_hex(upper), bgcolor=_hex(lower)))
        text.append("\n")
    return text


def _hex(pixel: object) -> str:
    if not isinstance(pixel, tuple):
        return "#000000"
    return "#{:02x}{:02x}{:02x}".format(*pixel)

"""Pictures in a terminal: the protocol that it speaks, and the bytes that it takes."""

import base64
import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from node.cli.picturing import Protocol, as_blocks, as_iterm2, as_kitty, protocol_of
from storage.records import JobRecord
from tests.unit.node.cli.conftest import Run


def png(width: int = 60, height: int = 40) -> bytes:
    buffer = BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, Protocol.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, Protocol.KITTY),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, Protocol.BLOCKS),
        ({"TERM_PROGRAM": "iTerm.app"}, Protocol.ITERM2),
        ({"LC_TERMINAL": "iTerm2"}, Protocol.ITERM2),
        ({"TERM": "xterm-256color"}, Protocol.BLOCKS),
        ({}, Protocol.BLOCKS),
    ],
)
def test_the_protocol_is_that_of_the_terminal(
    environment: dict[str, str], protocol: Protocol
) -> None:
    assert protocol_of(environment) is protocol


def test_kitty_gets_a_picture_in_pieces_that_it_can_join() -> None:
    picture = png()
    messages = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", as_kitty(picture))
    assert len(messages) > 1
    assert messages[0][0] == "a=T,f=100,m=1"
    assert [options for options, _ in messages[1:]] == ["m=1"] * (len(messages) - 2) + ["m=0"]
    assert all(len(text) <= 4096 for _, text in messages)
    assert base64.b64decode("".join(text for _, text in messages)) == picture


def test_iterm2_gets_a_picture_with_its_size() -> None:
    picture = png()
    head, text = as_iterm2(picture).removesuffix("\x07").split(":")
    assert head == f"\x1b]1337;File=inline=1;size={len(picture)}"
    assert base64.b64decode(text) == picture


def test_a_block_holds_two_pixels() -> None:
    image = Image.new("RGB", (2, 2), (255, 0, 0))
    image.putpixel((0, 1), (0, 0, 255))
    image.putpixel((1, 1), (0, 255, 0))
    blocks = as_blocks(image, 80)
    assert blocks.plain == "▀▀\n"
    colours = [str(span.style) for span in blocks.spans]
    assert colours == ["#ff0000 on #0000ff", "#ff0000 on #00ff00"]
    assert len(as_blocks(Image.new("RGB", (512, 256)), 80).plain.splitlines()) == 20


def test_a_picture_needs_a_terminal(run: Run, job: JobRecord, tmp_path: Path) -> None:
    result = run("queue", "show", str(job.id), "--picture")
    assert result.exit_code == 2
    assert "--picture needs a terminal" in result.stderr
    assert run("queue", "show", str(job.id), "--picture", "--json").exit_code == 2

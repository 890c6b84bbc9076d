"""All commands by name: a module is loaded when its command is asked for, or when all are listed.

Most commands take a part of a second to load, since each speaks to other libraries; who asks how
the node stands does not wait for those that send, train and draw.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

RUN, LOOK, TRY = "Run the node", "Look after the node", "Try and test"
LEARN = "Train and measure models"
APP = "app"
"""What a module with several commands calls them together."""


@dataclass(frozen=True)
class Place:
    """Where a command is found.

    Attributes
    ----------
    panel
        Under which heading it is listed.
    module
        Of `node.cli`.
    function
        In the module; `APP` if the name stands for several commands.
    """

    panel: str
    module: str
    function: str = APP


COMMANDS: dict[str, Place] = {
    "serve": Place(RUN, "service", "serve"),
    "listen": Place(RUN, "service", "listen"),
    "analyse": Place(RUN, "service", "analyse"),
    "deliver": Place(RUN, "service", "deliver"),
    "page": Place(RUN, "service", "page"),
    "status": Place(LOOK, "overview", "status"),
    "drain": Place(LOOK, "acting", "drain"),
    "resume": Place(LOOK, "acting", "resume"),
    "reprocess": Place(LOOK, "acting", "reprocess"),
    "doctor": Place(LOOK, "doctor", "doctor"),
    "conformance": Place(LOOK, "documents", "conformance"),
    "schemas": Place(LOOK, "schemas", "schemas"),
    "demo": Place(TRY, "tools", "demo"),
    "segment": Place(TRY, "tools", "segment"),
    "send": Place(TRY, "tools", "send"),
    "echo": Place(TRY, "tools", "echo"),
    "synth": Place(TRY, "tools", "synth"),
    "certs": Place(TRY, "certs", "certs"),
    "train": Place(LEARN, "training", "train"),
    "evaluate": Place(LEARN, "evaluating", "evaluate"),
    "reproduce": Place(LEARN, "reproducing", "reproduce"),
    "experiment": Place(LEARN, "reproducing", "experiment"),
    "config": Place(LOOK, "configuring"),
    "accounts": Place(LOOK, "accounts"),
    "audit": Place(LOOK, "audit"),
    "retention": Place(LOOK, "retention"),
    "queue": Place(LOOK, "queue"),
    "peers": Place(LOOK, "peers"),
    "notifications": Place(LOOK, "notifying"),
    "db": Place(LOOK, "database"),
    "report": Place(TRY, "reporting"),
    "data": Place(LEARN, "data"),
}


def load(name: str) -> Any:
    """Load a command, or several of one name, as the argument parser takes them.

    Raises
    ------
    KeyError
        If there is none of this name.
    """
    place = COMMANDS[name]
    found = getattr(import_module(f"node.cli.{place.module}"), place.function)
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    if place.function == APP:
        alone.add_typer(found, name=name, rich_help_panel=place.panel)
    else:
        alone.command(name, rich_help_panel=place.panel)(found)
    return typer.main.get_group(alone).commands[name]

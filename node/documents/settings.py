"""Every setting, from the sentences in `config.sections`: docs/settings.md."""

from collections.abc import Iterator

from config.catalogue import Setting, Table, tables_of
from config.example import as_toml
from config.reloading import is_reloaded
from config.settings import Settings
from node.documents.markdown import code, document, heading, table

INTRODUCTION = """
A settings file is TOML; its tables stand below in their order. Each setting has a default that
works on one machine, so a file holds what the site changes. An environment variable goes before
the file; lists and tables are given there as JSON. `midline config check` tells what is wrong
with a file, `midline config show` what holds and who says so, `midline config explain KEY` what
stands here, and `midline config example` writes a file with everything in it. This page is made
by `midline config reference`.

What holds *after a reload* may change while the node runs: SIGHUP to `midline serve` (or to a role
that runs alone; `systemctl reload midline`) has the file read again. Associations and running work
go on. A file with a fault is refused with one line in the log, and what held before stays. The
certificates that `[tls]` names are read again too; an authority that is taken away is forgotten at
the next start. Without a file there is nothing to reload."""


def settings_reference() -> str:
    """Write the reference of all settings."""
    parts = [heading("Settings", level=1), INTRODUCTION]
    for each in tables_of(Settings):
        parts += _section(each)
    return document(*parts)


def _section(described: Table) -> Iterator[str]:
    yield heading(code(described.header), level=2)
    yield described.sentence
    columns = ("Setting", "Means", "Takes", "Default", "Holds after", "Environment variable")
    yield table(columns, map(_row, described.settings))


def _row(setting: Setting) -> tuple[str, ...]:
    if setting.is_required:
        default = "must be given"
    else:
        default = "" if setting.default is None else code(as_toml(setting.default))
    return (
        code(setting.name),
        setting.sentence,
        setting.values,
        default,
        "a reload" if is_reloaded(setting.key) else "a start",
        code(setting.variable) if not setting.table.is_optional else "",
    )

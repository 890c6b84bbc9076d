"""``midline config``: whether the settings are in order, which hold, and what each means."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from config.catalogue import Setting, Table, settings_of, tables_of
from config.checking import check as complaints_about
from config.errors import SettingsError, UsageError
from config.example import as_toml, example_file, shown_value
from config.origins import Effective, effective
from config.reloading import is_reloaded
from config.settings import Settings, load_settings
from node.admission import AETable
from node.cli.border import complain
from node.cli.output import AsJson, as_dict, write_facts, write_json, write_table
from node.cli.site import config_of

app = typer.Typer(help="Check the settings, show which hold, explain one.")

NUM_PROPOSALS = 3

Out = Annotated[
    Path | None, typer.Option(dir_okay=False, help="File to write; without it, the screen.")
]


@app.command()
def check(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Tell every fault of the settings, where it is and how it is mended; exit code 2 if any.

    Files, ports and peers that they name are looked at by midline doctor.
    """
    path = config_of(context)
    found = complaints_about(path)
    further = () if found else _further_fault(path)
    if as_json:
        write_json({"faults": [*map(as_dict, found), *({"fault": text} for text in further)]})
    else:
        for each in (*found, *further):
            complain(str(each))
        if not found and not further:
            typer.echo(f"{path or 'the defaults'}: the settings are in order")
    if found or further:
        raise typer.Exit(2)


def _further_fault(path: Path | None) -> tuple[str, ...]:
    """Say what only the table of callers finds; a start of the node would refuse it."""
    try:
        AETable.of(load_settings(path))
    except SettingsError as error:
        return (str(error),)
    return ()


@app.command()
def show(
    context: typer.Context,
    *,
    given: Annotated[bool, typer.Option("--given", help="Only what is not a default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings that hold, and whether default, file or environment says so."""
    rows = [each for each in effective(config_of(context)) if not given or each.origin != "default"]
    if as_json:
        write_json({each.key: {"value": _plain(each), "origin": each.origin} for each in rows})
        return
    write_table(
        "Settings",
        ("Setting", "Value", "From"),
        [(each.key, "" if each.value is None else _toml(each), each.origin) for each in rows],
    )


@app.command()
def explain(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As node.port, or a table's name.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Explain a setting: what it does, its default, what it takes, its variable."""
    name = key.strip("[] ")
    settings = {setting.key: setting for setting in settings_of(Settings)}
    tables = {table.name: table for table in tables_of(Settings)}
    if name in settings:
        _explain_setting(settings[name], as_json=as_json)
    elif name in tables:
        _explain_table(tables[name], as_json=as_json)
    else:
        last = [each for each in settings if each.split(".")[-1] == name]
        close = last or get_close_matches(name, (*settings, *tables), n=NUM_PROPOSALS, cutoff=0.5)
        raise UsageError(
            f"{key} is no setting; {f'did you mean {_or(close)}?' if close else _tables(tables)}"
        )


@app.command()
def example(*, out: Out = None) -> None:
    """Write a settings file with every setting, its sentence and its default."""
    write_document(out, example_file())


@app.command()
def reference(*, out: Out = None) -> None:
    """Write what every setting means, in Markdown."""
    from node.documents.settings import settings_reference  # noqa: PLC0415 - it loads much

    write_document(out, settings_reference())


def write_document(path: Path | None, text: str) -> None:
    """Write a text into a file, or onto the screen.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    if path is None:
        typer.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror})") from error


def _explain_setting(setting: Setting, *, as_json: bool) -> None:
    default = "must be given" if setting.is_required else _default(setting)
    facts = (
        ("Setting", setting.key),
        ("Means", setting.sentence),
        ("Takes", setting.values),
        ("Default", default),
        ("Example", f"{setting.name} = {shown_value(setting)}"),
        ("Environment", setting.variable),
        ("Holds after", "a reload (SIGHUP)" if is_reloaded(setting.key) else "a start"),
        ("Table", setting.table.sentence),
    )
    if as_json:
        write_json({name.lower().replace(" ", "_"): value for name, value in facts})
    else:
        write_facts(facts)


def _default(setting: Setting) -> str:
    return "nothing" if setting.default is None else as_toml(setting.default)


def _explain_table(table: Table, *, as_json: bool) -> None:
    if as_json:
        settings = {setting.name: setting.sentence for setting in table.settings}
        write_json({"table": table.name, "means": table.sentence, "settings": settings})
        return
    typer.echo(f"{table.header} {table.sentence}")
    write_facts((setting.name, setting.sentence) for setting in table.settings)


def _plain(each: Effective) -> object:
    value = each.value
    if isinstance(value, tuple):
        return [str(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float | dict) else str(value)


def _toml(each: Effective) -> str:
    return as_toml(each.value)


def _or(names: list[str]) -> str:
    return " or ".join(names)


def _tables(tables: dict[str, Table]) -> str:
    return f"midline config explain TABLE lists the settings of {', '.join(tables)}"

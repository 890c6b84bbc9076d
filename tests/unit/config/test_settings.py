"""Settings: defaults, the file, the environment, and errors that a person understands."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

import config
from config.errors import SettingsError
from config.settings import (
    DestinationSettings,
    EventReportSettings,
    HL7ReceiverSettings,
    QuerySettings,
    Section,
    SenderSettings,
    Settings,
    WebDestinationSettings,
    WebhookSettings,
    load_settings,
)

EXAMPLE = Path(config.__file__).with_name("midline.example.toml")
DESTINATION = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "pacs"\nport = 104\n'

REPEATED: dict[str, type[Section]] = {
    "destinations": DestinationSettings,
    "web_destinations": WebDestinationSettings,
    "senders": SenderSettings,
    "senders.query": QuerySettings,
    "senders.event_reports": EventReportSettings,
    "webhooks": WebhookSettings,
    "hl7_receivers": HL7ReceiverSettings,
}
"""Tables that a file has only where the site adds them."""

Loader = Callable[[str], Settings]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("MIDLINE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    """Load settings from a file with this text."""

    def loaded(text: str) -> Settings:
        path = tmp_path / "site.toml"
        path.write_text(text, encoding="utf-8")
        return load_settings(path)

    return loaded


def refusal(load: Loader, text: str) -> str:
    with pytest.raises(SettingsError) as raised:
        load(text)
    message = str(raised.value)
    assert "\n" not in message
    return message


def sections() -> dict[str, type[Section]]:
    found = {name: type(field.default) for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in found.items() if issubclass(kind, Section)}


def comment_above(lines: list[str], index: int) -> str:
    """Read the comment that ends right above a line."""
    start = index
    while lines[start - 1].startswith("# "):
        start -= 1
    return " ".join(line.removeprefix("# ") for line in lines[start:index])


def described(kind: type[Section]) -> dict[str, str]:
    inner = ("query", "event_reports")
    fields = kind.model_fields.items()
    return {name: _sentence(field) for name, field in fields if name not in inner}


def _sentence(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def test_the_example_file_is_the_defaults(load: Loader) -> None:
    assert load(EXAMPLE.read_text(encoding="utf-8")) == load_settings()


def test_the_example_file_names_every_setting_with_its_sentence() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    told: dict[str, dict[str, str]] = {}
    section = ""
    for index, line in enumerate(lines):
        bare = line.removeprefix("#")
        if bare.startswith("["):
            section = bare.strip("[]")
            told[section] = {}
        elif " = " in bare and not bare.startswith(" "):
            told[section][bare.split(" = ")[0]] = comment_above(lines, index)
    expected = {name: described(kind) for name, kind in (sections() | REPEATED).items()}
    assert told == expected


def test_the_commented_examples_are_valid(load: Loader) -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    bare = [line[1:] if line.startswith("#") and line[1:2] != " " else line for line in lines]
    settings = load("\n".join(bare))
    assert settings.destinations[0].name == "pacs"
    assert settings.analysis.weights is not None
    assert settings.storage.url.startswith("postgresql+psycopg://")


def test_every_setting_says_what_it_is() -> None:
    for kind in (*sections().values(), *REPEATED.values()):
        for name, sentence in described(kind).items():
            assert sentence.endswith("."), f"{kind.__name__}.{name}"


def test_the_file_goes_before_the_defaults_and_the_environment_before_the_file(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDLINE_NODE__PORT", "104")
    settings = load('[node]\nport = 4242\nae_title = "CTAI"')
    assert (settings.node.port, settings.node.ae_title) == (104, "CTAI")
    assert settings.node.host == "127.0.0.1"


def test_lists_come_from_the_environment_as_json(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDLINE_NODE__ALLOWED_CALLING_AE_TITLES", '["CT1", "CT2"]')
    assert load("").node.allowed_calling_ae_titles == ("CT1", "CT2")
    monkeypatch.setenv("MIDLINE_NODE__ALLOWED_CALLING_AE_TITLES", "CT1")
    with pytest.raises(SettingsError):
        load("")
    monkeypatch.setenv("MIDLINE_DESTINATIONS", "[{")
    with pytest.raises(SettingsError, match="JSON"):
        load("")


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.node.port = 1
    with pytest.raises(ValidationError):
        settings.node = settings.node


def test_the_index_lies_in_the_folder_unless_set_otherwise(load: Loader, tmp_path: Path) -> None:
    settings = load(f'[storage]\nfolder = "{tmp_path}"')
    assert settings.storage.url == f"sqlite:///{tmp_path / 'midline.sqlite'}"
    url = "postgresql+psycopg://midline@db/midline"
    assert load(f'[storage]\ndatabase_url = "{url}"').storage.url == url


def test_an_unknown_key_is_refused_with_the_known_ones(load: Loader) -> None:
    message = refusal(load, "[node]\nprot = 104")
    assert "site.toml: node.prot" in message
    assert "ae_title, host, port" in message


def test_an_unknown_section_is_refused_with_the_known_ones(load: Loader) -> None:
    message = refusal(load, "[noed]\n")
    assert "noed" in message
    assert "node, tls, senders, storage" in message


def test_an_unknown_key_of_a_destination_is_told_before_a_missing_one(load: Loader) -> None:
    message = refusal(load, DESTINATION.replace("ae_title", "aet"))
    assert "destinations.0.aet" in message
    assert "key_objects, ae_title, host, port" in message


def test_an_unknown_variable_is_refused(load: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDLINE_NODE__PROT", "104")
    assert "environment MIDLINE_NODE__PROT" in refusal(load, "")
    monkeypatch.delenv("MIDLINE_NODE__PROT")
    monkeypatch.setenv("MIDLINE_NOED__PORT", "104")
    assert "unknown section 'noed'" in refusal(load, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[node]\nport = 70000", "node.port: .*65535, not 70000"),
        ("[node]\nport = 'x'", "node.port: .*integer.*, not 'x'"),
        ("[node]\nae_title = 'SEVENTEENLETTERS1'", "node.ae_title: must be 1 to 16"),
        ("[node]\nae_title = 'A\\B'", "node.ae_title: must be 1 to 16"),
        ("[node]\nae_title = ' A'", "node.ae_title: must be 1 to 16"),
        ("[node]\nae_title = 'Ä'", "node.ae_title: must be 1 to 16"),
        ("[node]\nhost = '0.0.0.0'", "node: host is not a loopback address"),
        ("[node]\nhost = 'ct.example'", "node: host is not a loopback address"),
        ("[node]\nmax_pdu_bytes = 0", "node.max_pdu_bytes: .*4096, not 0"),
        ("[completion]\ndeadline_seconds = 0", "completion.deadline_seconds: .*greater than 0"),
        ("[analysis]\ndevice = 'gpu'", "analysis.device: .*cuda.*, not 'gpu'"),
        ("[delivery]\nlongest_retry_seconds = 1", "delivery: longest_retry_seconds"),
        ("[liveness]\nbeat_seconds = 20", "liveness: dead_after_seconds"),
        ("[identity]\napproved_for_diagnosis = true", "identity: approval_reference"),
        ("[log]\nlevel = 'LOUD'", "log.level: .*'DEBUG'.*, not 'LOUD'"),
        (DESTINATION * 2, "destinations must have different names, 'pacs'"),
        ("[[destinations]]\nname = 'pacs'", "destinations.0.ae_title: .*required"),
        ("node = 3", "node: .*, not 3"),
        ("node", "is not TOML"),
    ],
)
def test_what_is_out_of_range_is_told_with_rule_and_value(
    load: Loader, text: str, told: str
) -> None:
    with pytest.raises(SettingsError, match=f"site.toml: .*{told}"):
        load(text)


def test_everybody_may_send_to_a_loopback_address_or_be_named(load: Loader) -> None:
    for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost"):
        assert load(f"[node]\nhost = '{host}'").node.host == host
    plain = "[node]\nhost = '0.0.0.0'\nplain_off_loopback = true\n"
    named = load(f"{plain}allowed_calling_ae_titles = ['CT1']")
    assert named.node.allowed_calling_ae_titles == ("CT1",)
    assert load(f"{plain}[[senders]]\nae_title = 'CT1'").senders[0].ae_title == "CT1"
    assert "senders or node.allowed_calling_ae_titles" in refusal(load, plain)


def test_a_plain_port_off_loopback_must_be_asked_for(load: Loader) -> None:
    told = refusal(load, "[node]\nhost = '10.0.0.1'\nallowed_calling_ae_titles = ['CT1']")
    assert "set tls, or plain_off_loopback" in told


def test_tls_needs_certificates(load: Loader) -> None:
    assert "'pacs' speaks TLS: tls.certificate" in refusal(load, f"{DESTINATION}tls = true")
    told = refusal(load, "[tls]\ncertificate = 'node.pem'")
    assert "certificate, private_key and authorities are needed together" in told


def test_an_unknown_key_of_an_inner_table_is_told_with_the_known_ones(load: Loader) -> None:
    told = refusal(load, "[[senders]]\nae_title = 'CT1'\n[senders.query]\nretreive = 'GET'")
    assert "senders.0.query.retreive: unknown key; known are ae_title, host, port" in told


def test_a_database_password_is_never_told(load: Loader) -> None:
    message = refusal(load, "[storage]\ndatabase_url = ['postgresql://a:SECRET@b/c']")
    assert "SECRET" not in message
    settings = load("[storage]\ndatabase_url = 'postgresql+psycopg://a:SECRET@b/c'")
    assert "SECRET" not in repr(settings)


WEB = '[[web_destinations]]\nname = "web"\nurl = "{}"\n'


@pytest.mark.parametrize(
    "url",
    ["https://dicom.example/dicom-web", "http://127.0.0.1:8042/dicom-web", "http://[::1]:8042/",
     "http://localhost", "https://dicom.example:8443"],
)  # fmt: skip
def test_a_token_goes_over_tls_or_stays_on_this_machine(load: Loader, url: str) -> None:
    settings = load(WEB.format(url) + "token_file = 'token'")
    assert settings.receivers[0].address == url


@pytest.mark.parametrize(
    "url", ["http://dicom.example/", "http://10.0.0.5:80/", "http://127.example"]
)
def test_a_token_is_not_sent_for_all_to_read(load: Loader, url: str) -> None:
    told = refusal(load, WEB.format(url) + "token_file = 'token'")
    assert told.endswith("url must be https: a token_file would be sent for all to read")
    assert load(WEB.format(url)).web_destinations[0].url == url


@pytest.mark.parametrize(
    "url",
    ["https://user:HUSH@host/", "https://HUSH@host", "https://host/?token=HUSH", "https://host/#HUSH",
     "ftp://HUSH@host", "https://host:99999/HUSH", "https://host:0/HUSH", "https://:443/HUSH",
     "https://host/HUSH me", "https://höst/HUSH", "//HUSH"],
)  # fmt: skip
def test_a_url_that_is_none_or_holds_a_secret_is_refused_and_not_repeated(
    load: Loader, url: str
) -> None:
    told = refusal(load, WEB.format(url))
    assert "web_destinations.0" in told
    assert "HUSH" not in told


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.toml: cannot be read"):
        load_settings(tmp_path / "nothing.toml")


def test_the_example_is_toml_without_the_environment() -> None:
    tables = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    assert set(tables) == set(sections())

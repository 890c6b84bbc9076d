"""A disaster, drilled: the index and the store are lost, and put back from their copies."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config import log
from node.caller import caller_of
from node.cli import app
from node.delivery import Courier
from node.engine import Queues
from storage.database import Database
from storage.files import FileStore
from storage.records import DeliveryState
from storage.upkeep import versions
from tests.integration.test_delivery import Site
from tests.support import earlier
from tests.support.destinations import settings_for
from tests.support.pacs import running_pacs


@pytest.fixture(autouse=True)
def _no_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no command set up logging: the stream of its handler ends with it."""
    monkeypatch.setattr(log, "configure", lambda *_, **__: None)


def run(folder: Path, *words: str) -> str:
    config = folder.parent / f"{folder.name}.toml"
    config.write_text(f'[storage]\nfolder = "{folder}"\nreserve_bytes = 0\n')
    done = CliRunner().invoke(app, ["--config", str(config), *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_what_was_to_be_sent_is_sent_from_a_backup(tmp_path: Path) -> None:
    lost, backup, new = tmp_path / "lost", tmp_path / "backup", tmp_path / "new"
    for folder in (lost, backup, new):
        folder.mkdir()
    with running_pacs() as pacs:
        site = Site(lost, settings_for(pacs.peer))
        busy, done = writing(site)
        run(lost, "db", "backup", str(backup / "midline.sqlite"))
        shutil.copytree(lost / "files", backup / "files")
        done.set()
        busy.join()
        results = site.deliveries()
        site.close()
        shutil.rmtree(lost)

        shutil.copy(backup / "midline.sqlite", new / "midline.sqlite")
        shutil.copytree(backup / "files", new / "files")
        run(new, "db", "upgrade")
        checked = json.loads(run(new, "db", "check", "--json"))
        assert checked["faults"] == checked["missing"] == checked["altered"] == []
        assert checked["num_files"] > len(results)
        with delivering(new, site) as (courier, database):
            courier.send(site.job_id, "pacs", attempt=1)
            with database.read() as transaction:
                sent = transaction.results.deliveries(state=DeliveryState.SENT)
        assert [each.id for each in sent] == [each.id for each in results]
        assert pacs.sop_instance_uids == [each.sop_instance_uid for each in results]


def writing(site: Site) -> tuple[threading.Thread, threading.Event]:
    """Write into the index all the time, as a node that runs does."""
    done = threading.Event()

    def write() -> None:
        while not done.wait(0.005):
            with site.database.begin() as transaction:
                transaction.refusals.note("other", ["1.2.3"], answer="no", now=earlier.NOW)

    thread = threading.Thread(target=write)
    thread.start()
    return thread, done


@contextmanager
def delivering(folder: Path, site: Site) -> Iterator[tuple[Courier, Database]]:
    """Deliver from a folder that was put back, as the lost node would have."""
    database = Database(f"sqlite:///{folder / 'midline.sqlite'}")
    with closing(database), closing(Queues(database.engine)) as queues:
        files = FileStore(folder / "files", reserve_bytes=0)
        place = replace(site.place, database=database, files=files, queues=queues)
        yield Courier(place, site.settings, caller_of(site.settings)), database


def test_an_index_of_an_earlier_version_is_upgraded_by_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'midline.sqlite'}")
    earlier.fill(database)
    backup = tmp_path / "before.sqlite"
    run(folder, "db", "backup", str(backup))
    assert "version 0003, the newest" in run(folder, "db", "upgrade")
    status = json.loads(run(folder, "status", "--json"))
    assert status["jobs"]["SUCCEEDED"] == 1
    shown = json.loads(run(folder, "queue", "list", "--json"))
    assert shown
    database.close()
    before = Database(f"sqlite:///{backup}")
    assert versions(before).current == earlier.VERSION
    before.close()

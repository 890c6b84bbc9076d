"""Those who are told of reports, before real receivers: signed, retried, durable, and discreet."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from typer.testing import CliRunner

from config.example import as_toml
from node import workplace
from node.caller import caller_of
from node.cli import app
from node.notifying import Notifier
from storage.records import DeliveryState, NotificationState
from tests.support.notified import running_hl7_system, running_hook
from tests.support.notifying_site import NotifyingSite, notifying_settings, webhook
from tests.support.pacs import free_port
from tests.support.waiting import eventually

EVERYTHING = [
    "study_instance_uid",
    "accession_number",
    "patient_id",
    "patient_name",
    "patient_birth_date",
    "findings",
]


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Take away the handler of a command: its stream ends with the command."""
    root = logging.getLogger()
    level, handlers = root.level, tuple(root.handlers)
    yield
    logging.captureWarnings(capture=False)
    root.setLevel(level)
    root.handlers[:] = handlers


def make(folder: Path, request: pytest.FixtureRequest, **sections: object) -> NotifyingSite:
    site = NotifyingSite(folder, notifying_settings(folder, **sections))
    request.addfinalizer(site.close)
    return site


def report_of(site: NotifyingSite) -> Dataset:
    with site.database.read() as transaction:
        (path,) = [e.path for e in transaction.results.of_job(site.job_id) if e.kind == "SR"]
    return dcmread(site.files.path(path))


def test_a_webhook_that_fails_first_is_told_once_and_alike_in_the_end(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    answers = {1: 500, 2: 0, 3: 404, 4: 204}
    with running_hook(answers.__getitem__) as hook:
        site = make(tmp_path, request, webhooks=[webhook(tmp_path, hook.url)])
        site.end()
        assert site.notification().state is NotificationState.PENDING
        with site.delivering():
            eventually(lambda: site.notification().state is NotificationState.SENT)
        assert len(hook.posts) == 4
        assert all(post.is_signed for post in hook.posts)
        assert len({post.body for post in hook.posts}) == 1
        assert {post.headers["webhook-id"] for post in hook.posts} == {
            site.notification().message_id
        }
        told = hook.posts[-1].json
    assert hook.posts[-1].path == "/hooks/midline"
    assert (told["type"], told["data"]["outcome"]) == ("report.made", "POSITIVE")
    assert site.queued_attempts() == ["1", "2", "3", "4"]


def test_nothing_of_the_patient_is_told_unless_the_site_names_it(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with running_hook() as hook, running_hook() as other:
        hooks = [
            webhook(tmp_path, hook.url),
            webhook(tmp_path, other.url, name="other", include=EVERYTHING),
        ]
        site = make(tmp_path, request, webhooks=hooks)
        site.end()
        for each in site.notifications():
            site.notifier.notify(each.id, 1)
    report = report_of(site)
    facts = {
        "study_instance_uid": report.StudyInstanceUID,
        "patient_id": report.PatientID,
        "patient_name": str(report.PatientName),
    }
    assert all(facts.values())
    (plain,), (full,) = hook.posts, other.posts
    assert not any(str(value).encode() in plain.body for value in facts.values())
    assert {key: full.json["data"][key] for key in facts} == facts
    assert full.json["data"]["volume_ml"] == {"SDH": 12.5}
    rows = json.dumps([each.__dict__ for each in site.notifications()], default=str)
    assert not any(str(value) in rows for value in facts.values())


def test_hl7_that_is_not_taken_first_arrives_in_the_end(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    answers = {1: "AE", 2: "", 3: "AR", 4: "AA"}
    with running_hl7_system(answers.__getitem__) as system:
        receiver = {"name": "ris", "host": "127.0.0.1", "port": system.port}
        receivers = [{**receiver, "include": ["patient_id", "findings"], "timeout_seconds": 5.0}]
        site = make(tmp_path, request, hl7_receivers=receivers)
        site.end()
        for attempt, problem in enumerate(
            ("could not process the message", "did not acknowledge", "rejects the message"), start=1
        ):
            found = site.notify(attempt)
            assert found.state is NotificationState.PENDING
            assert problem in (found.last_error or "")
        assert site.notify(4).state is NotificationState.SENT
        message = system.messages[-1]
    assert {each.msh.msh_10.to_er7() for each in system.messages} == {
        site.notification().message_id
    }
    result = message.oru_r01_patient_result
    assert result.oru_r01_patient.pid.pid_3.to_er7() == report_of(site).PatientID
    observation = result.oru_r01_order_observation.oru_r01_observation[0].obx
    assert observation.obx_5.to_er7() == "POSITIVE"


def test_only_the_outcomes_that_a_receiver_wants_are_told_and_each_end_once(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    hooks = [
        webhook(tmp_path, url, name="failures", outcomes=["FAILED"]),
        webhook(tmp_path, url, name="negatives", outcomes=["NEGATIVE"]),
    ]
    site = make(tmp_path, request, webhooks=hooks)
    site.end("NEGATIVE")
    site.end("NEGATIVE")
    assert [each.receiver for each in site.notifications()] == ["negatives"]
    assert site.queued_attempts() == ["1"]


def test_a_job_without_any_report_is_told_as_failed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with running_hook() as hook:
        included = webhook(tmp_path, hook.url, include=["findings"])
        site = make(tmp_path, request, webhooks=[included])
        workplace.record(site.place, site.job_id, {"unreportable": "no report could be written"})
        assert site.notify(1).state is NotificationState.SENT
    assert hook.posts[0].json["data"]["outcome"] == "FAILED"


def test_the_end_of_a_job_and_its_notifications_are_one(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = [webhook(tmp_path, "http://127.0.0.1:9/")]
    site = make(tmp_path, request, webhooks=hooks)

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("the machine loses its power")

    monkeypatch.setattr(site.place.queues, "notify", crash)
    with pytest.raises(RuntimeError):
        site.end()
    assert site.notifications() == ()
    with site.database.read() as transaction:
        job = transaction.jobs.get(site.job_id)
    assert job is not None
    assert job.outcome is None


@pytest.mark.usefixtures("_logging_as_before")
def test_what_is_given_up_is_shown_and_can_be_told_again(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with running_hook(lambda number: 410 if number == 1 else 200) as hook:
        described = webhook(tmp_path, hook.url)
        site = make(tmp_path, request, webhooks=[described])
        site.end()
        dead = site.notify(1)
        assert dead.state is NotificationState.DEAD
        config = tmp_path / "site.toml"
        lines = [f"{key} = {as_toml(value)}" for key, value in described.items()]
        config.write_text(
            f'[storage]\nfolder = "{tmp_path}"\n[[webhooks]]\n' + "\n".join(lines) + "\n"
        )

        def run(*words: str) -> str:
            done = CliRunner().invoke(app, ["--config", str(config), "notifications", *words])
            assert done.exit_code == 0, done.output
            return done.stdout

        listed = json.loads(run("list", "--json"))
        assert listed["receivers"][0]["num_dead"] == 1
        assert listed["messages"][0]["last_error"].endswith("answered HTTP 410 Gone")
        assert hook.url.rpartition("/hooks")[2] not in json.dumps(listed)
        assert run("retry", "hook") == "1 messages are sent again\n"
        with site.delivering():
            eventually(lambda: site.notification().state is NotificationState.SENT)
        assert (
            run("test", "hook") == f"{hook.url.removesuffix('/hooks/midline')} took the message\n"
        )
        assert hook.posts[-1].json["type"] == "test"


def test_time_and_settings_end_what_never_arrives(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    hooks = [webhook(tmp_path, f"http://127.0.0.1:{free_port()}")]
    site = make(tmp_path, request, webhooks=hooks, delivery={"give_up_hours": 1e-9})
    site.end()
    dead = site.notify(1)
    assert dead.state is NotificationState.DEAD
    assert "no connection with http://127.0.0.1" in (dead.last_error or "")
    with site.database.begin() as transaction:
        transaction.notifications.reopen(now=dead.created_at)
    without = notifying_settings(tmp_path)
    Notifier(site.place, without, caller_of(without)).notify(dead.id, 1)
    assert site.notification().last_error == "hook is not in the settings any more"
    assert site.states() == [DeliveryState.PENDING] * len(site.states())

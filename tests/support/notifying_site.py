"""A node with a job that ends, and those who are told of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.settings import LivenessSettings, Settings
from node import workplace
from node.caller import caller_of
from node.engine import run_deliverer
from node.notifying import Notifier
from node.steps import Deliverer
from storage.records import NotificationRecord
from tests.integration.test_delivery import Site
from tests.support.destinations import settings_for
from tests.support.notified import SECRET
from tests.support.pacs import free_port

FINDINGS = {"volume_ml": {"SDH": 12.5}}


class NotifyingSite(Site):
    """A node whose one job has results and has not ended."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        super().__init__(folder, settings)
        self.place = replace(self.place, notified=settings.notified)
        self.notifier = Notifier(self.place, settings, caller_of(settings))

    def end(self, outcome: str = "POSITIVE") -> None:
        """End the job, as an analyser does."""
        with self.database.read() as transaction:
            made = transaction.results.of_job(self.job_id)
        names = ("kind", "sop_class_uid", "sop_instance_uid", "path", "sha256", "position")
        results = [
            {**{name: getattr(each, name) for name in names}, "destinations": ["pacs"]}
            for each in made
        ]
        encoded: dict[str, Any] = {
            "outcome": outcome,
            "reason": None,
            "findings": json.dumps(FINDINGS),
            "results": results,
        }
        workplace.record(self.place, self.job_id, encoded)

    def notifications(self) -> tuple[NotificationRecord, ...]:
        """Read them by receiver."""
        with self.database.read() as transaction:
            found = transaction.notifications.list(job_id=self.job_id)
        return tuple(sorted(found, key=lambda each: each.receiver))

    def notification(self) -> NotificationRecord:
        (only,) = self.notifications()
        return only

    def notify(self, attempt: int) -> NotificationRecord:
        """Make one attempt for the one receiver."""
        self.notifier.notify(self.notification().id, attempt)
        return self.notification()

    def queued_attempts(self) -> list[str]:
        """Attempts to notify that are in the queue, or were."""
        with self.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT workflow_uuid FROM workflow_status")
            names = [str(row[0]) for row in rows]
        return sorted(name.rsplit(":", 1)[1] for name in names if name.startswith("notify:"))

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """Run a deliverer as the engine does."""
        stop = threading.Event()
        steps = Deliverer(self.place, self.settings, caller_of(self.settings))
        thread = threading.Thread(
            target=run_deliverer,
            args=(self.database, steps),
            kwargs={
                "executor_id": "deliverer",
                "slots": 2,
                "liveness": LivenessSettings(beat_seconds=0.1, dead_after_seconds=1.0),
                "stop": stop,
            },
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def notifying_settings(folder: Path, **sections: Any) -> Settings:
    """Make the settings of a node whose destination is away, and which retries quickly."""
    quick = {"first_retry_seconds": 0.05, "longest_retry_seconds": 0.1, "jitter": 0.0}
    url = f"http://127.0.0.1:{free_port()}"
    base = settings_for(url).model_dump()
    base["delivery"] |= quick | sections.pop("delivery", {})
    base["storage"]["folder"] = folder
    return Settings.model_validate(base | sections)


def webhook(folder: Path, url: str, **more: Any) -> dict[str, Any]:
    """Describe a webhook, whose secret is that of the tests."""
    secret = folder / "webhook.secret"
    secret.write_text(f"whsec_{SECRET}\n")
    return {"name": "hook", "url": url, "secret_file": secret, **more}

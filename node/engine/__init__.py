"""The durable queue: DBOS Transact, and nothing outside this package knows it."""

from node.engine.ownership import fence
from node.engine.patience import INTERRUPTIONS, patiently
from node.engine.presence import present
from node.engine.queues import Queues
from node.engine.serializer import Json
from node.engine.worker import (
    AnalysisSteps,
    DeliverySteps,
    migrate,
    new_executor_id,
    run_analyser,
    run_deliverer,
)

__all__ = [
    "INTERRUPTIONS",
    "AnalysisSteps",
    "DeliverySteps",
    "Json",
    "Queues",
    "fence",
    "migrate",
    "new_executor_id",
    "patiently",
    "present",
    "run_analyser",
    "run_deliverer",
]

"""The durable queue: DBOS Transact, and nothing outside this package knows it."""

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
    "AnalysisSteps",
    "DeliverySteps",
    "Json",
    "Queues",
    "migrate",
    "new_executor_id",
    "run_analyser",
    "run_deliverer",
]

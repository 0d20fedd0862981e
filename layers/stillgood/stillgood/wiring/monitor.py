"""monitor's dependencies: obstore, which reads thousands of captures at a third of boto3's processor time, and the
policy by name.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from stillgood.aws.logs import configure, log
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.aws.settings import Settings
from stillgood.domain.policy.policies import POLICIES
from stillgood.steps.monitor.monitor import MonitorDeps
from stillgood.storage.anchor import heads, write_anchor
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry


@dataclass(frozen=True, slots=True)
class InvokerOnDemand:
    """A LambdaInvoker that imports boto3 (0.3 s) when something is invoked: on most windows nothing is."""

    functions: Mapping[str, str | None]

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        from stillgood.aws.invoke import LambdaInvoker

        LambdaInvoker(self.functions).invoke(step, event)


def anchor(store: ObjectStore, answer: Mapping[str, Any]) -> None:
    """Log the hashes of the newest records, and keep the first of a day in the anchor's bucket, where there is one.

    Raises StoreUnavailable and what S3 refuses.
    """
    pointer = Registry(store).pointer()
    if pointer is None or answer.get("report") is None:
        return
    hashes = heads(store, champion_decision=pointer.decision, window=str(answer["window"]))
    settings = Settings.from_env()
    log(logging.INFO, "heads of the logs", bucket=settings.bucket, sha256=hashes)
    if settings.anchor_bucket is not None:
        outside = ObstoreObjectStore(settings.anchor_bucket, timeout_seconds=20.0)
        write_anchor(outside, settings.bucket, hashes, datetime.now(UTC))


@cache
def monitoring() -> MonitorDeps:
    """What monitor works with, from the environment. Raises SettingsInvalid."""
    settings = Settings.from_env()
    configure("monitor", level=settings.log_level)
    return MonitorDeps(
        # Patience: nobody waits for a report, and captures may be megabytes.
        store=ObstoreObjectStore(settings.bucket, timeout_seconds=20.0),
        invoker=InvokerOnDemand({"train": settings.train_function, "promote": settings.promote_function}),
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
        policy=POLICIES[settings.policy],
        window_hours=settings.window_hours,
        settle_seconds=settings.settle_seconds,
        mode=settings.mode,
    )

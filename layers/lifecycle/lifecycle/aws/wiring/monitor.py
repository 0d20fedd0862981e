"""monitor's dependencies: boto3, which the Lambda runtime brings, the policy by name, and the functions it hands over to."""

import time
from datetime import UTC, datetime
from functools import cache

from lifecycle.aws.invoke import LambdaInvoker
from lifecycle.aws.logs import configure
from lifecycle.aws.s3_boto3 import Boto3ObjectStore
from lifecycle.aws.settings import Settings
from lifecycle.domain.policy import POLICIES
from lifecycle.steps.monitor import Monitoring


@cache
def monitoring() -> Monitoring:
    """What monitor works with, from the environment. Raises SettingsInvalid."""
    settings = Settings.from_env()
    configure("monitor", level=settings.log_level)
    return Monitoring(
        store=Boto3ObjectStore(settings.bucket),
        invoker=LambdaInvoker({"train": settings.train_function, "promote": settings.promote_function}),
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
        policy=POLICIES[settings.policy],
        window_hours=settings.window_hours,
        settle_seconds=settings.settle_seconds,
    )

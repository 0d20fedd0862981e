"""promote's dependencies: boto3, which the Lambda runtime brings, and the gate by name."""

from datetime import UTC, datetime
from functools import cache

from lifecycle.aws.logs import configure
from lifecycle.aws.s3_boto3 import Boto3ObjectStore
from lifecycle.aws.settings import Settings
from lifecycle.steps.promote import Deciding


@cache
def deciding() -> Deciding:
    """What promote and rollback work with, from the environment. Raises SettingsInvalid."""
    settings = Settings.from_env()
    configure("promote", level=settings.log_level)
    return Deciding(Boto3ObjectStore(settings.bucket), lambda: datetime.now(UTC), settings.gate)

"""promote's dependencies: obstore, of whose requests one costs a tenth of boto3's CPU, and the gate by name."""

from datetime import UTC, datetime
from functools import cache

from stillgood.aws.logs import configure
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.aws.settings import Settings
from stillgood.steps.promote.promote import PromoteDeps

TIMEOUT_SECONDS = 20.0  # of one request to S3, the holdout being the largest


@cache
def deciding() -> PromoteDeps:
    """What promote and rollback work with, from the environment. Raises SettingsInvalid."""
    settings = Settings.from_env()
    configure("promote", level=settings.log_level)
    return PromoteDeps(
        ObstoreObjectStore(settings.bucket, endpoint_url=settings.endpoint_url, timeout_seconds=TIMEOUT_SECONDS),
        lambda: datetime.now(UTC),
        settings.gate,
        mode=settings.mode,
    )

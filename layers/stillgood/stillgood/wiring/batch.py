"""batch's dependencies: the same store and champion as predict's, with more patience."""

from datetime import UTC, datetime
from functools import cache

from stillgood.aws.logs import configure
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.aws.settings import Settings
from stillgood.steps.batch.batch import BatchDeps
from stillgood.storage.champion import ChampionSource

TIMEOUT_SECONDS = 60.0  # of one request to S3, which moves up to 5 MiB


@cache
def scoring() -> BatchDeps:
    """What batch works with, from the environment. Raises SettingsInvalid."""
    settings = Settings.from_env()
    configure("batch", level=settings.log_level)
    store = ObstoreObjectStore(settings.bucket, endpoint_url=settings.endpoint_url, timeout_seconds=TIMEOUT_SECONDS)
    # No time to live: a run takes the champion of the moment it starts.
    return BatchDeps(store, ChampionSource(store, _now, ttl_seconds=0), _now)


def _now() -> datetime:
    return datetime.now(UTC)

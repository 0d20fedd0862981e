"""predict's dependencies: obstore for its cold start, and nothing that scores by more than the standard library."""

from datetime import UTC, datetime
from functools import cache
from os import urandom

from lifecycle.aws.capture import Capture
from lifecycle.aws.http import LambdaHandler, create_app, lambda_handler
from lifecycle.aws.http_labels import labels_route
from lifecycle.aws.logs import configure
from lifecycle.aws.s3_obstore import ObstoreObjectStore
from lifecycle.aws.settings import Settings
from lifecycle.steps.predict import Serving
from lifecycle.storage.champion import ChampionSource


@cache
def api() -> LambdaHandler:
    """The HTTP API as a Lambda handler, from the environment. Raises SettingsInvalid."""
    settings = Settings.from_env()
    configure("predict", level=settings.log_level)
    store = ObstoreObjectStore(settings.bucket, endpoint_url=settings.endpoint_url)
    serving = Serving(
        champions=ChampionSource(store, _now, settings.champion_ttl_seconds),
        capture=Capture(store),
        clock=_now,
        new_id=_new_id,
        max_rows=settings.max_rows,
        max_bytes=settings.max_bytes,
    )
    app = create_app(serving, more=[labels_route(serving, store)])
    return lambda_handler(app, warm=serving.champions.current, stale=lambda: serving.champions.stale)


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    """A random UUID (version 4), in a third of the time of ``uuid.uuid4``."""
    digits = urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

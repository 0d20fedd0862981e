"""predict's dependencies: obstore for its cold start, and nothing that scores by more than the standard library.

Under SnapStart, a snapshot holds the imports and nothing that ages: no connection, no credentials, no champion.
"""

import random
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from os import urandom

from stillgood.api.actions import actions_router
from stillgood.api.app import create_app
from stillgood.api.gateway import LambdaHandler, lambda_handler
from stillgood.api.labels import labels_router
from stillgood.api.operate import operate_router
from stillgood.api.reports import reports_router
from stillgood.aws.capture import Capture, Sink
from stillgood.aws.logs import configure, restored
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.aws.settings import Settings
from stillgood.domain.errors import StillgoodError
from stillgood.steps.predict import PredictDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.objects import ObjectStore


@cache
def api() -> LambdaHandler:
    """The HTTP API as a Lambda handler, from the environment. Raises SettingsInvalid."""
    settings = Settings.from_env()
    configure("predict", level=settings.log_level)
    store = ObstoreObjectStore(settings.bucket, endpoint_url=settings.endpoint_url)
    serving = PredictDeps(
        champions=ChampionSource(store, _now, settings.champion_ttl_seconds),
        capture=Capture(_sink(settings, store)),
        clock=_now,
        new_id=_new_id,
        max_rows=settings.max_rows,
        max_bytes=settings.max_bytes,
        store=store,
    )
    routers = [
        labels_router(serving, store),
        actions_router(serving, store),
        reports_router(store),
        operate_router(serving, store),
    ]
    app = create_app(serving, routers)
    return lambda_handler(app, warm=serving.champions.current, stale=lambda: serving.champions.stale)


def _sink(settings: Settings, store: ObjectStore) -> Sink:
    """Where captures go. Only what a deployment chose is imported."""
    if settings.capture_stream is None:
        return store
    from stillgood.aws.firehose import ByFirehose, Firehose

    return ByFirehose(Firehose(settings.capture_stream, endpoint_url=settings.endpoint_url), store)


def register_hooks() -> bool:
    """Have Lambda call the two functions below around a snapshot; False where its module is not, which is anywhere
    else.
    """
    try:
        from snapshot_restore_py import (  # type: ignore[import-untyped]  # it has no stubs
            register_after_restore,
            register_before_snapshot,
        )
    except ImportError:
        return False
    register_before_snapshot(before_snapshot)
    register_after_restore(after_restore)
    return True


def before_snapshot() -> None:
    """Answer one request that needs no store, so that what is only imported or built then is in the snapshot; then keep
    no client.
    """
    api()(_NOWHERE, None)
    api.cache_clear()


def after_restore() -> None:
    """Connect with the credentials of now and fetch the champion of now. An outage fails no restore: the first request
    looks again.
    """
    api.cache_clear()
    random.seed()  # jitter only: ids come from the kernel, which Lambda seeds anew
    with suppress(StillgoodError):
        api()({}, None)
    restored()


_NOWHERE = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/nowhere",
    "rawQueryString": "",
    "headers": {"host": "snapshot"},
    "requestContext": {"http": {"method": "GET", "path": "/nowhere", "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"}},
    "isBase64Encoded": False,
}


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    """A random UUID (version 4), in a third of the time of ``uuid.uuid4``."""
    digits = urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

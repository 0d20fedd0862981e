"""POST /labels: one more route of predict's API. It needs the target's two values, which the champion's contract says."""

from starlette.types import Receive

from stillgood.api.app import Answer, Endpoint, read_body
from stillgood.steps.labels.ingest import post_labels
from stillgood.steps.predict import PredictDeps
from stillgood.storage.objects import ObjectStore


def labels_route(serving: PredictDeps, store: ObjectStore) -> tuple[str, str, Endpoint]:
    """(method, path, endpoint) for ``create_app``'s ``more``."""

    async def labels(receive: Receive) -> Answer:
        target = serving.champions.current().model.contract.target
        body = await read_body(receive, serving.max_bytes)
        told = post_labels(body, store, target, max_rows=serving.max_rows, max_bytes=serving.max_bytes)
        return Answer(told, {"accepted": told["accepted"], "refused": told["refused"]})

    return ("POST", "/labels", labels)

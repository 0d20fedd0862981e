"""Predict under fault, through the real handler: the last good champion serves, says so, and gives way once there is a
good one again.
"""

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stillgood.aws.s3_obstore import ObstoreObjectStore
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import StoreUnavailable
from stillgood.domain.model.model import Model
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.storage.artifacts import publish
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import MODEL, POINTER_KEY, REFERENCE, artifact_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry

EVENTS = Path(__file__).parents[2] / "events"
PREDICT, STATUS = (json.loads((EVENTS / f"{name}.json").read_text()) for name in ("predict", "status"))
PROMOTIONS, CALLERS, REQUESTS_A_PROMOTION = 1000, 2, 4


def release(model: Model, data: bytes | None = None) -> Release:
    digest = sha256(encode(model.to_dict()) if data is None else data)
    model_key, reference_key = artifact_key(model.version, MODEL), artifact_key(model.version, REFERENCE)
    return Release(model.version, model_key, digest, reference_key, {}, model.threshold)


def point_to(store: ObjectStore, target: Release) -> None:
    registry = Registry(store)
    head = registry.recover()
    registry.record(head, Proposal("2026-11-23T00:00:00Z", "promote", f"r{head.n}", None, (), release=target))


@pytest.fixture
def models(telco: Contract, draw_model: Callable[..., Model]) -> list[Model]:
    return [draw_model(telco, f"20261123-{name}", seed) for seed, name in enumerate("abc")]


def _missing(store: Any, model: Model) -> None:
    point_to(store, release(model))


def _truncated(store: Any, model: Model) -> None:
    publish(store, model.version, {MODEL: encode(model.to_dict())[:-30]})
    point_to(store, release(model))


def _tampered(store: Any, model: Model) -> None:
    publish(store, model.version, {MODEL: encode(model.to_dict()).replace(b"0.1", b"0.9")})
    point_to(store, release(model))


def _future(store: Any, model: Model) -> None:
    data = encode({**model.to_dict(), "format_version": 99})
    publish(store, model.version, {MODEL: data})
    point_to(store, release(model, data))


FAULTS: dict[str, Callable[[Any, Model], object]] = {
    "S3 is down": lambda store, _: store.fail("S3 does not answer."),
    "S3 is empty": lambda store, _: [store.delete(info.key) for info in list(store.list(""))],
    "the model is missing": _missing,
    "the model is truncated": _truncated,
    "the model is tampered with": _tampered,
    "the model is of a later format": _future,
    "the pointer is garbage": lambda store, _: store.put(POINTER_KEY, b"\xff\x00"),
}


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The metrics of the invocations since the last look, added up."""
    total: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        read = json.loads(line)
        if "_aws" in read:
            total.update({name: value for name, value in read.items() if isinstance(value, int)})
    return total


@pytest.mark.parametrize("fault", FAULTS)
def test_the_last_good_champion_serves_says_so_and_recovers_by_itself(
    predict_function: Any,
    bucket: Any,
    models: list[Model],
    capsys: pytest.CaptureFixture[str],
    fault: str,
    count: Callable[..., None],
) -> None:
    good, bad, next_one = models
    publish(bucket, good.version, {MODEL: encode(good.to_dict())})
    point_to(bucket, release(good))
    before = json.loads(predict_function(PREDICT, None)["body"])
    assert counted(capsys)["ChampionStale"] == 0

    FAULTS[fault](bucket, bad)
    answer = predict_function(PREDICT, None)
    after = json.loads(answer["body"])
    assert (answer["statusCode"], after["model_version"], after["logit"]) == (200, good.version, before["logit"])
    champion = json.loads(predict_function(STATUS, None)["body"])["champion"]
    assert (champion["stale"], champion["version"]) == (True, good.version)
    assert champion["last_error"]
    metrics = counted(capsys)
    assert (metrics["ChampionStale"], metrics["Predictions"], metrics["Failed"]) == (2, 1, 0)

    bucket.fault = None
    if fault == "the pointer is garbage":
        bucket.delete(POINTER_KEY)  # as the runbook says; settling puts back what the decision log has
    publish(bucket, next_one.version, {MODEL: encode(next_one.to_dict())})
    point_to(bucket, release(next_one))
    assert json.loads(predict_function(PREDICT, None)["body"])["model_version"] == next_one.version
    assert json.loads(predict_function(STATUS, None)["body"])["champion"]["stale"] is False
    assert counted(capsys)["ChampionStale"] == 0
    count("serving: faults of the store survived by the last good champion", 1, ">= 7")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_first_start_under_fault_is_a_503_and_recovers(
    predict_function: Any, bucket: Any, models: list[Model], capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    good, bad, _ = models
    FAULTS[fault](bucket, bad)
    answer = predict_function(PREDICT, None)
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (503, "application/problem+json")
    assert predict_function(STATUS, None)["statusCode"] == 200
    assert counted(capsys)["Failed"] == 1
    bucket.fault = None
    if fault == "the pointer is garbage":
        bucket.delete(POINTER_KEY)
    publish(bucket, good.version, {MODEL: encode(good.to_dict())})
    point_to(bucket, release(good))
    assert json.loads(predict_function(PREDICT, None)["body"])["model_version"] == good.version


def test_over_a_thousand_promotions_no_request_fails_and_none_mixes_two_models(
    predict_function: Any, bucket: Any, models: list[Model], telco: Contract, count: Callable[..., None]
) -> None:
    row = RowChecker(telco).check(json.loads(PREDICT["body"])).values
    logits = {model.version: model.score(row).logit for model in models}
    assert len(set(logits.values())) == 3
    for model in models:
        publish(bucket, model.version, {MODEL: encode(model.to_dict())})
    point_to(bucket, release(models[0]))
    predict_function(PREDICT, None)
    done, may = threading.Event(), threading.Semaphore(0)
    answers: list[dict[str, Any]] = []
    raised: list[BaseException] = []

    def call() -> None:
        loop = asyncio.new_event_loop()  # as a Lambda's runtime has one in its only thread
        asyncio.set_event_loop(loop)
        try:
            while may.acquire() and not done.is_set():
                answers.append(predict_function(PREDICT, None))
        except BaseException as error:  # told below, in the main thread
            raised.append(error)
        finally:
            loop.close()

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for number in range(PROMOTIONS):
        may.release(REQUESTS_A_PROMOTION)
        point_to(bucket, release(models[number % 3]))  # while they run
        while len(answers) < number * REQUESTS_A_PROMOTION and not raised:
            time.sleep(0.0001)
    while len(answers) < PROMOTIONS * REQUESTS_A_PROMOTION and not raised:
        time.sleep(0.0001)
    done.set()
    may.release(CALLERS)
    for caller in callers:
        caller.join()

    failed = [answer for answer in answers if answer["statusCode"] != 200]
    predictions = [json.loads(answer["body"]) for answer in answers if answer["statusCode"] == 200]
    mixed = [prediction for prediction in predictions if prediction["logit"] != logits[prediction["model_version"]]]
    served = Counter(prediction["model_version"] for prediction in predictions)
    captured = Counter(
        json.loads(line)["model"] for info in bucket.list("capture/") for line in bucket.get(info.key).data.splitlines()
    )
    count("serving: promotions while requests ran", PROMOTIONS, ">= 1000")
    count("serving: requests answered meanwhile", len(answers), ">= 4000")
    count("serving: failed or of mixed versions", len(failed) + len(mixed), "== 0")
    assert raised == failed == mixed == []
    assert len(served) == 3
    assert captured == served + Counter(
        {models[0].version: 1}
    )  # what was answered is what was captured, by the same model


@pytest.fixture
def deaf() -> Iterator[str]:
    """An S3 that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                taken.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in taken:
        connection.close()


def test_a_deaf_store_costs_a_bounded_time(deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predict's own bounds: no call outlasts a time-out plus the budget of tries, 2 s each."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = ObstoreObjectStore("stillgood", endpoint_url=deaf)
    start = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.get("k")
    # A bound that a hang breaks, not a measurement.
    assert time.monotonic() - start < 10

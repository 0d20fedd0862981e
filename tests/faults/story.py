"""A bucket in which every step has work to do, and each step's work on it: small enough to be done again at every
write.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.drift.reference import build_reference
from stillgood.domain.model.model import Calibration, Model, NumericTerm
from stillgood.domain.model.vectorised import logits
from stillgood.domain.policy.policies import POLICIES
from stillgood.domain.promotion.holdout import Holdout
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.labels.ingest import ingest_label_files, post_labels
from stillgood.steps.monitor.compact import compact
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.steps.ports import Invoker
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.artifacts import publish
from stillgood.storage.champion import ChampionSource
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import HOLDOUT, METRICS, MODEL, REFERENCE, capture_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import iso

TODAY = datetime(2026, 11, 24, tzinfo=UTC)
NOW = TODAY + timedelta(hours=1)
COMPACTED = TODAY - timedelta(hours=3)
CONTRACT = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "two readings",
    "version": "1",
    "id": "customer",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [{"name": "first", "kind": "numeric"}, {"name": "second", "kind": "numeric"}],
    "floors": {"roc_auc": 0.6, "recall": 0.7},
    "training": {"min_rows": 100},
    "monitoring": {"min_rows": 50},
}
PARSED = read_contract(CONTRACT)
STRONG, WEAK, DULL, POOR = (
    (1.5, 1.5),
    (1.5, 0.2),
    (1.5, -0.2),
    (0.05, -0.1),
)  # weights of the readings; the truth is STRONG
PROMOTE = {"action": "promote", "candidate": "v2", "request_id": "r-v2"}
REFUSE = {"action": "promote", "candidate": "v3", "request_id": "r-v3"}
ROLLBACK = {"action": "rollback", "to": None, "request_id": "r-back", "reason": "Complaints."}
WINDOW = {"scheduled_time": iso(TODAY)}
TRAIN = {"request_id": "by hand", "reason": "asked"}
LABELS = [
    {"prediction_id": f"old-{number}", "label": "yes" if number % 3 else "no", "event_time": iso(TODAY - timedelta(30))}
    for number in range(60)
]


def readings(count: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both readings and the outcome."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, count)) + shift
    return first, second, rng.random(count) < 1 / (1 + np.exp(1.0 - 1.5 * first - 1.5 * second))


def draw(version: str, weights: tuple[float, float], rows: int = 900) -> dict[str, bytes]:
    """The files that train publishes."""
    first, second, left = readings(rows, 11)
    frame = Frame(PARSED, rows, {"first": first, "second": second})
    terms = tuple(NumericTerm(f.name, 0.0, 1.0, w) for f, w in zip(PARSED.features, weights, strict=True))
    model = Model(version, PARSED, terms, -1.0, -1.0, Calibration(1.0, 0.0))
    data = encode(model.to_dict())
    scores = 1 / (1 + np.exp(-logits(model, frame)))
    return {
        MODEL: data,
        METRICS: encode({"model_sha256": sha256(data)}),
        REFERENCE: encode(build_reference(model, frame, scores).to_dict()),
        HOLDOUT: encode(Holdout(frame, left.astype(np.int8)).to_dict()),
    }


def table(count: int, seed: int) -> bytes:
    """Labelled rows as CSV; the last one is refused."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["customer", "first", "second", "left"])
    for number, (first, second, left) in enumerate(zip(*readings(count, seed), strict=True)):
        writer.writerow([f"c{seed}-{number}", f"{first:.4f}", f"{second:.4f}", "yes" if left else "no"])
    writer.writerow(["broken", "wide", "1", "no"])
    return text.getvalue().encode()


def capture(store: ObjectStore, at: datetime, count: int, seed: int, shift: float, name: str) -> None:
    lines = []
    for number, (first, second, _) in enumerate(zip(*readings(count, seed, shift), strict=True)):
        score = float(1 / (1 + np.exp(1.0 - 1.5 * first - 0.2 * second)))
        record = {
            "kind": "prediction", "prediction_id": f"{name}-{number}", "time": iso(at), "entity_id": f"{name}{number}",
            "features": {"first": float(first), "second": float(second)},
            "score": score, "probability": score, "decision": score > 0.27, "model": "v1",
        }  # fmt: skip
        lines.append(json.dumps(record) + "\n")
    store.put(capture_key(at, name), "".join(lines).encode())


def write(store: ObjectStore) -> ObjectStore:
    """v0 served, v1 serves; v2 is better, v3 worse. Yesterday's customers differ; last month's have labels, not taken
    in yet.
    """
    store.put("contract.json", encode(CONTRACT))
    store.put("data/2026-11-20/a.csv", table(400, 5))
    for version, weights in (("v0", DULL), ("v1", WEAK), ("v2", STRONG), ("v3", POOR)):
        publish(store, version, draw(version, weights))
    for version in ("v0", "v1"):
        event = {"action": "promote", "candidate": version, "request_id": f"r-{version}"}
        promote(event, PromoteDeps(store, lambda: TODAY - timedelta(40), "simple"))
    capture(store, TODAY - timedelta(hours=5), 300, 7, 1.0, "new")
    capture(store, TODAY - timedelta(hours=5, minutes=-10), 4, 12, 1.0, "few")
    capture(store, TODAY - timedelta(days=34), 60, 8, 0.0, "old")
    labels = "\n".join(json.dumps(label) for label in [*LABELS, LABELS[0] | {"label": "perhaps"}])
    store.put("labels/incoming/a.jsonl", labels.encode())
    store.put("batch/input/a.csv", table(40, 9))
    return store


Work = Callable[[ObjectStore, Invoker], Any]


def _train(store: ObjectStore, invoker: Invoker) -> Any:
    from stillgood.steps.train.train import TrainDeps, train  # a second of imports that promote and monitor do without
    from stillgood.training.tracking import Tracking

    return train(TRAIN, TrainDeps(store, invoker, lambda: NOW, Tracking(None)))


def watching(store: ObjectStore, invoker: Invoker) -> MonitorDeps:
    """What monitor works with: a policy that retrains for this window."""
    return MonitorDeps(store, invoker, lambda: NOW, lambda _: None, POLICIES["simple"], settle_seconds=0.0)


WORK: dict[str, Work] = {
    "promote": lambda store, _: promote(PROMOTE, PromoteDeps(store, lambda: NOW)),
    "refuse": lambda store, _: promote(REFUSE, PromoteDeps(store, lambda: NOW)),
    "rollback": lambda store, _: roll_back(ROLLBACK, PromoteDeps(store, lambda: NOW)),
    "monitor": lambda store, invoker: monitor(WINDOW, watching(store, invoker)),
    "compact": lambda store, invoker: compact(replace(watching(store, invoker), clock=lambda: COMPACTED)),
    "train": _train,
    "label files": lambda store, _: ingest_label_files(store, PARSED.target, lambda: NOW),
    "POST /labels": lambda store, _: post_labels(
        json.dumps(LABELS).encode(), store, PARSED.target, now=NOW, max_rows=100, max_bytes=100_000
    ),
    "batch": lambda store, _: batch(
        {"input": "batch/input/a.csv"}, BatchDeps(store, ChampionSource(store, lambda: NOW, 0), lambda: NOW)
    ),
}

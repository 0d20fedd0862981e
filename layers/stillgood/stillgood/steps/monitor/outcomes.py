"""Join matured labels with captured predictions: what the champion's decisions came to, and new rows to learn from.

A prediction is matured once ``label_maturity_days`` have passed: a label that arrived sooner says yes sooner than no, and
learning from it at once would learn that haste. Joined rows become ``data/<date>/labels-<sha256>.csv``, each prediction once:
rows that an earlier file holds are not written again, and the key is the content, so a retry writes the same object.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.labels import Label, Resolved, resolve
from stillgood.domain.drift.performance import RealisedPerformance, realise_performance
from stillgood.domain.errors import ModelUnusable, ObjectExists, ObjectNotFound, StillgoodError
from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.model.vectorised import logits
from stillgood.domain.promotion.decision import Pointer
from stillgood.domain.statistics.delong import paired_delong
from stillgood.domain.statistics.intervals import Estimate, normal_sf
from stillgood.steps.labels.ingest import ingest_label_files
from stillgood.steps.ports import Clock
from stillgood.storage.champion import load_model
from stillgood.storage.keys import DATA_PREFIX
from stillgood.storage.labels import ledger, read_batch
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, captures, iso, utc

LATE_DAYS = 7  # how long after maturity a label still finds its prediction by itself
BIAS_P = 1e-3
MIN_OF_EACH = 20  # positives and negatives, for an ROC-AUC that says something
GAIN_Z = 3.2905  # two-sided 99.9%


class Predicted(msgspec.Struct, tag_field="kind", tag="prediction", gc=False):
    """One captured prediction."""

    prediction_id: str
    time: str
    entity_id: str | None
    features: dict[str, float | str | None]
    score: float
    probability: float
    decision: bool
    model: str


class _Rejected(msgspec.Struct, tag_field="kind", tag="rejection", gc=False):
    pass


@dataclass(frozen=True, slots=True)
class Joined:
    """Matured predictions of a span: ``rows`` with their outcome (True is the positive one); the counts tell of the rest."""

    rows: tuple[tuple[Predicted, bool], ...]
    predictions: int
    counts: Mapping[str, int] = field(default_factory=dict)
    biased: bool = False

    @property
    def coverage(self) -> float:
        """Share of the predictions that have a label, 0 to 1."""
        return len(self.rows) / self.predictions if self.predictions else 0.0


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the matured labels say of the champion; None where too few rows have one."""

    realised: RealisedPerformance | None
    previous_gain: Estimate | None
    labels: Mapping[str, Any]


def take_labels(store: ObjectStore, pointer: Pointer, clock: Clock) -> dict[str, int]:
    """Take uploaded label files in, then write training rows for what has matured. Both are idempotent."""
    contract = load_model(store, pointer).contract
    taken = ingest_label_files(store, contract.target, clock)
    return taken | write_training_rows(store, contract, clock())


def outcomes(store: ObjectStore, contract: Contract, pointer: Pointer, window: Window) -> Outcomes:
    """Judge the champion on the predictions it made in the span that matured with ``window``. Raises StoreUnavailable, ModelUnusable."""
    span = matured(contract, window)
    joined = join(store, contract, span)
    own = [(one, positive) for one, positive in joined.rows if one.model == pointer.version]
    told = {
        "span": span.id,
        "predictions": joined.predictions,
        "labelled": len(joined.rows),
        "of_the_champion": len(own),
        "coverage": joined.coverage,
        "biased": joined.biased,
        **joined.counts,
    }
    positives = sum(positive for _, positive in own)
    if len(own) < contract.monitoring.min_rows or min(positives, len(own) - positives) < MIN_OF_EACH:
        return Outcomes(None, None, told)
    y = np.array([positive for _, positive in own])
    realised = realise_performance(
        np.array([one.score for one, _ in own]),
        np.array([one.probability for one, _ in own]),
        np.array([one.decision for one, _ in own]),
        y,
        promised=_promised(pointer),
        coverage=joined.coverage,
        biased=joined.biased,
        entities=_entities(own),
    )
    gain = None if joined.biased else _previous_gain(store, pointer, [one for one, _ in own], y)
    return Outcomes(realised, gain, told)


def _entities(rows: Iterable[tuple[Predicted, bool]]) -> npt.NDArray[np.object_] | None:
    """Whose prediction each row is; None where no customer came back, and where none is named."""
    names = [one.entity_id or one.prediction_id for one, _ in rows]
    return np.array(names, dtype=object) if len(set(names)) < len(names) else None


def _promised(pointer: Pointer) -> Metrics:
    try:
        return Metrics.from_dict(pointer.metrics)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelUnusable(
            f"The metrics of champion {pointer.version} are malformed ({type(error).__name__}: {error}); promote a version anew."
        ) from error


def _previous_gain(
    store: ObjectStore, pointer: Pointer, rows: list[Predicted], y: npt.NDArray[np.bool_]
) -> Estimate | None:
    """ROC-AUC of the previous champion minus the champion's on the same rows, with a 99.9% interval: it is looked at every window.

    None when there is no previous one, or it reads other features than were captured; and for a champion that came by a
    rollback: the version before it was found worse already, and two models must not take turns.
    """
    if pointer.previous is None:
        return None
    try:
        if Registry(store).decision(pointer.decision).action != "promote":
            return None
        model = load_model(store, pointer.previous)
        frame = Frame.from_values(model.contract, [one.features for one in rows])
        test = paired_delong(logits(model, frame), np.array([one.score for one in rows]), y)
    except (ModelUnusable, ObjectNotFound, KeyError, ValueError):
        return None
    reach = GAIN_Z * test.standard_error
    return Estimate(test.difference, test.difference - reach, test.difference + reach)


def matured(contract: Contract, window: Window) -> Window:
    """The span whose labels have matured when ``window`` ends: as long as it, and earlier by the maturity."""
    shift = _maturity(contract)
    return Window(window.start - shift, window.end - shift)


def _maturity(contract: Contract) -> timedelta:
    """To the second, as windows are."""
    return timedelta(seconds=round(contract.monitoring.label_maturity_days * 86_400))


def join(store: ObjectStore, contract: Contract, span: Window) -> Joined:
    """Predictions captured in ``span`` with the labels the ledger has for them. Raises StoreUnavailable, ModelUnusable."""
    labels = [label for info in ledger(store, span.start.date()) for label in read_batch(store, info.key)]
    if not labels:
        return Joined((), 0)
    by_prediction, by_entity = resolve(labels, "prediction_id"), resolve(labels, "entity_id")
    latest = timedelta(days=contract.monitoring.label_maturity_days + LATE_DAYS)
    rows, unlabelled, used = [], [], set()
    for one in predictions(store, span):
        label = _label(one, by_prediction, by_entity, latest)
        if label is None:
            unlabelled.append(one)
        else:
            rows.append((one, label.label == contract.target.positive))
            used.add(label)
    newest = {*by_prediction.outcome.values(), *by_entity.outcome.values()}
    counts = {
        "labels": len(labels),
        "duplicates": by_prediction.duplicates + by_entity.duplicates,
        "corrected": by_prediction.corrected + by_entity.corrected,
        "conflicting": len(by_prediction.conflicts) + len(by_entity.conflicts),
        "without_prediction": len(newest - used),
    }
    return Joined(tuple(rows), len(rows) + len(unlabelled), counts, _biased([one for one, _ in rows], unlabelled))


def predictions(store: ObjectStore, span: Window) -> Iterator[Predicted]:
    """Every prediction captured in ``span``; lines that are none are monitor's to count."""
    decoder = msgspec.json.Decoder(Predicted | _Rejected)
    for info in captures(store, span):
        for line in store.get(info.key).data.splitlines():
            try:
                one = decoder.decode(line)
                if isinstance(one, Predicted) and utc(one.time) in span:
                    yield one
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, StillgoodError):
                continue


def _label(one: Predicted, by_prediction: Resolved, by_entity: Resolved, latest: timedelta) -> Label | None:
    """The label of a prediction: its own, or its entity's if that became true after the prediction and not too late."""
    if one.prediction_id in by_prediction.conflicts:
        return None
    if (own := by_prediction.outcome.get(one.prediction_id)) is not None:
        return own
    given = by_entity.outcome.get(one.entity_id or "")
    if given is None:
        return None
    made = utc(one.time)
    return given if made <= utc(given.event_time) <= made + latest else None


def _biased(labelled: list[Predicted], unlabelled: list[Predicted]) -> bool:
    """Whether the labelled rows were picked: their share of decisions, or mean score, differs beyond chance (z tests, p < .001 each)."""
    if len(labelled) < 30 or len(unlabelled) < 30:
        return False
    one, other = np.array([row.decision for row in labelled]), np.array([row.decision for row in unlabelled])
    pooled = (one.sum() + other.sum()) / (len(one) + len(other))
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / len(one) + 1 / len(other))))
    if error > 0 and 2 * normal_sf(abs(float(one.mean() - other.mean())) / error) < BIAS_P:
        return True
    score, rest = np.array([row.score for row in labelled]), np.array([row.score for row in unlabelled])
    error = float(np.sqrt(score.var() / len(score) + rest.var() / len(rest)))
    return error > 0 and 2 * normal_sf(abs(float(score.mean() - rest.mean())) / error) < BIAS_P


def write_training_rows(store: ObjectStore, contract: Contract, now: datetime) -> dict[str, int]:
    """Write training rows for every matured prediction whose label came in by now and that has none yet. Returns counts.

    Looks back over ``LATE_DAYS`` whole days before maturity. A feature that is personal data was not captured; a contract that
    needs one cannot learn this way, and is told so by the count ``personal``.
    """
    counts = {"rows": 0, "files": 0, "personal": 0}
    if any(one.pii and not one.nullable and one.if_missing is None for one in contract.features):
        return counts | {"personal": 1}
    until = now.replace(microsecond=0) - _maturity(contract)
    first = until.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=LATE_DAYS)
    if not any(ledger(store, first.date())):
        return counts
    for days in range(LATE_DAYS + 1):
        start = first + timedelta(days=days)
        end = min(start + timedelta(days=1), until)
        if end <= start:
            break
        rows = join(store, contract, Window(start, end)).rows
        prefix = f"{DATA_PREFIX}{start:%Y-%m-%d}/labels-"
        known = set(_written(store, prefix)) if rows else set()
        news = [(one, positive) for one, positive in rows if one.prediction_id not in known]
        if not news:
            continue
        data = _csv(contract, news)
        counts["rows"] += len(news)
        counts["files"] += 1
        try:
            store.create(f"{prefix}{hashlib.sha256(data).hexdigest()[:32]}.csv", data)
        except ObjectExists:  # another monitor joined the very same rows
            continue
    return counts


def _csv(contract: Contract, rows: Iterable[tuple[Predicted, bool]]) -> bytes:
    """Rows as ingestion reads them, in order of time. ``prediction_id`` is kept beside them: it says which ones were written."""
    out = io.StringIO(newline="")
    names = [one.name for one in contract.features if not one.pii]
    own = [name for name in (contract.id_column, contract.time_column) if name]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["prediction_id", *own, *names, contract.target.name])
    for one, positive in sorted(rows, key=lambda row: (row[0].time, row[0].prediction_id)):
        line: list[Any] = [one.prediction_id]
        if contract.id_column:
            line.append(one.entity_id or one.prediction_id)
        if contract.time_column:
            line.append(iso(utc(one.time)))
        line += [_text(one.features.get(name)) for name in names]
        writer.writerow([*line, contract.target.positive if positive else contract.target.negative])
    return out.getvalue().encode()


def _text(value: float | str | None) -> str:
    """As ``RowChecker.check(text=True)`` reads it back: whole numbers without a point."""
    if value is None or isinstance(value, str):
        return value or ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _written(store: ObjectStore, prefix: str) -> Iterator[str]:
    for info in store.list(prefix):
        for row in csv.DictReader(io.StringIO(store.get(info.key).data.decode(), newline="")):
            if row.get("prediction_id"):
                yield row["prediction_id"]

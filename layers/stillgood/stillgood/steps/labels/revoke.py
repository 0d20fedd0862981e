"""revoke: take back labels that were believed, and all that was made of them.

Four things know of a label: its batch, the outcome ledger, the training rows that were joined from it, and the models
that learnt those rows. The labels go to quarantine first, so that nothing is lost without a trace; training rows and
ledger are mended next and the batches last, so that a crash leaves what it takes to do it again. Monitor's next run
hears what is left and judges the champion by that.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from hashlib import sha256 as hashed
from typing import Any

import numpy as np

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.labels import Label, RefusedLabel
from stillgood.domain.errors import DocumentUnusable, InvalidEvent
from stillgood.domain.outcomes.evidence import microseconds
from stillgood.domain.outcomes.ledger import UNKNOWN, OutcomeDay, identity
from stillgood.domain.outcomes.sources import CALLER, known_as
from stillgood.steps.monitor.hear import change_day
from stillgood.storage.codec import decode_any
from stillgood.storage.keys import DATA_PREFIX, LEARNT, MODELS_PREFIX, outcomes_key
from stillgood.storage.labels import LabelBatch, ledger, quarantine, read_batch, take_back
from stillgood.storage.objects import ObjectStore
from stillgood.storage.outcomes import STATE_NAME, ledger_days, read_day
from stillgood.storage.training_data import PREDICTED_AT, PREDICTION_ID, is_joined, joined_key
from stillgood.training.judged import row_ids, seen_in


@dataclass(frozen=True, slots=True)
class Which:
    """The labels of one batch (its key, or the beginning of its name), one caller, or one prediction; that arrived at
    ``since`` (aware) or later.
    """

    batch: str = ""
    caller: str = ""
    prediction: str = ""
    since: datetime | None = None

    def __post_init__(self) -> None:
        if sum(map(bool, (self.batch, self.caller, self.prediction))) != 1:
            raise InvalidEvent("Name a batch, a caller or a prediction, one of them.")

    def of(self, key: str, batch: LabelBatch) -> tuple[Label, ...]:
        """Those of ``batch``, which lies under ``key``."""
        if self.since is not None and (batch.arrived is None or batch.arrived < self.since):
            return ()
        if self.prediction:
            return tuple(label for label in batch.labels if label.prediction_id == self.prediction)
        if self.batch:
            return batch.labels if key == self.batch or key.rpartition("/")[2].startswith(self.batch) else ()
        names = (self.caller, known_as(self.caller, hashed=True))
        return batch.labels if batch.source in names or batch.source.removeprefix(CALLER) in names else ()


@dataclass(frozen=True, slots=True)
class Revoked:
    """``labels`` by source; ``predictions`` whose outcome they had told; ``rows`` of training taken out; ``models``
    that had learnt some of those.
    """

    labels: Mapping[str, int]
    predictions: int
    rows: int
    models: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "labels": dict(self.labels),
            "predictions": self.predictions,
            "rows": self.rows,
            "models": list(self.models),
        }


@dataclass(slots=True)
class _Found:
    batches: dict[str, tuple[LabelBatch, tuple[Label, ...]]] = field(default_factory=dict)
    days: dict[date, np.ndarray[Any, Any]] = field(default_factory=dict)

    @property
    def ids(self) -> set[int]:
        return {number for ids in self.days.values() for number in ids.tolist()}


def revoke(store: ObjectStore, contract: Contract, which: Which, *, because: str, dry: bool = False) -> Revoked:
    """Take back ``which``; ``dry``: only say what it would be. Raises InvalidEvent, StoreUnavailable."""
    if not because.strip():
        raise InvalidEvent("Say why, for whoever finds the labels in quarantine.")
    affected = _Found()
    counts: dict[str, int] = {}
    for info in ledger(store, date.min):
        try:
            batch = read_batch(store, info.key)
        except DocumentUnusable:  # monitor names it
            continue
        if labels := which.of(info.key, batch):
            affected.batches[info.key] = (replace(batch, arrived=batch.arrived or info.modified), labels)
            counts[batch.source] = counts.get(batch.source, 0) + len(labels)
    for day in ledger_days(store):
        known = read_day(store, day)[0]
        if known is not None and (mask := _labelled_by(known, affected)).any():
            affected.days[day] = known.records["id"][mask]
    files = _joined_rows(store, affected.ids)
    models = _models(store, contract, [row for _, gone, _ in files.values() for row in gone])
    answer = Revoked(counts, len(affected.ids), sum(len(gone) for _, gone, _ in files.values()), models)
    if not dry and counts:
        _apply(store, affected, files, because)
    return answer


def _labelled_by(day: OutcomeDay, affected: _Found) -> np.ndarray[Any, Any]:
    """bool[n]: whose outcome one of the labels told, as far as the ledger knows."""
    mask = np.zeros(day.n, np.bool_)
    for batch, labels in affected.batches.values():
        assert batch.arrived is not None
        ids = [identity(label.prediction_id) for label in labels if label.prediction_id]
        entities = [identity(label.entity_id) for label in labels if label.entity_id]
        named = np.isin(day.records["id"], np.array(ids, np.uint64))
        named |= np.isin(day.records["entity"], np.array(entities, np.uint64))
        mask |= named & (day.records["place"] > 0) & (day.records["arrived"] == microseconds(batch.arrived))
    return mask


def _joined_rows(
    store: ObjectStore, ids: set[int]
) -> dict[str, tuple[list[dict[str, str]], list[dict[str, str]], list[str]]]:
    """By key of a joined file: the rows that stay, those that go, and the names of its columns."""
    files = {}
    for info in store.list(DATA_PREFIX) if ids else ():
        if not is_joined(info.key):
            continue
        reader = csv.DictReader(io.StringIO(store.get(info.key).data.decode(errors="replace"), newline=""))
        rows = list(reader)
        gone = [row for row in rows if identity(row.get(PREDICTION_ID) or "") in ids]
        if gone:
            stay = [row for row in rows if identity(row.get(PREDICTION_ID) or "") not in ids]
            files[info.key] = (stay, gone, list(reader.fieldnames or ()))
    return files


def _models(store: ObjectStore, contract: Contract, rows: list[dict[str, str]]) -> tuple[str, ...]:
    """The versions that were fitted on one of ``rows``, by the hash of whose row it is and when it was."""
    if not rows:
        return ()
    times, entities = [], []
    for row in rows:
        moment = datetime.fromisoformat(row[contract.time_column or PREDICTED_AT])
        times.append(np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us"))
        name = (row.get(contract.id_column) if contract.id_column else None) or f"prediction:{row[PREDICTION_ID]}"
        entities.append(int.from_bytes(hashed(name.strip().encode()).digest()[:8]))
    wanted = row_ids(np.array(times), np.array(entities, np.uint64))
    versions = []
    for info in store.list(MODELS_PREFIX):
        version, _, name = info.key.removeprefix(MODELS_PREFIX).partition("/")
        if name == LEARNT and seen_in(decode_any(store.get(info.key).data, what=info.key), wanted).any():
            versions.append(version)
    return tuple(sorted(versions))


def _apply(
    store: ObjectStore,
    affected: _Found,
    files: Mapping[str, tuple[list[dict[str, str]], list[dict[str, str]], list[str]]],
    because: str,
) -> None:
    for batch, labels in affected.batches.values():
        said = f"revoked, told by {batch.source or 'nobody known'}: {because.strip()[:200]}"
        quarantine(store, [RefusedLabel(at, "label", said, label.to_dict()) for at, label in enumerate(labels)])
    for key, (stay, _, names) in files.items():
        if stay:
            out = io.StringIO(newline="")
            writer = csv.DictWriter(out, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(stay)
            data = out.getvalue().encode()
            day = date.fromisoformat(key.removeprefix(DATA_PREFIX).partition("/")[0])
            store.put(joined_key(day, data), data)
        store.delete(key)
    for day, ids in affected.days.items():

        def change(known: OutcomeDay | None, day: date = day, ids: np.ndarray[Any, Any] = ids) -> OutcomeDay:
            assert known is not None
            records = known.records.copy()
            gone = np.isin(records["id"], ids)
            records["outcome"][gone] = records["learnt"][gone] = UNKNOWN
            for name in ("place", "event", "arrived", "source"):
                records[name][gone] = 0
            return replace(known, records=records)

        change_day(store, day, change)
    for key, (batch, labels) in affected.batches.items():
        assert batch.arrived is not None
        take_back(store, key, set(labels), batch.arrived)
    # Without it all labels are heard again, and what they had overruled holds once more.
    store.delete(outcomes_key(STATE_NAME))

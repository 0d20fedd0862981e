"""labels: ingest_labels ground truth in, from POST /labels or from uploaded files. Joining it with predictions is monitor's (``outcomes.py``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stillgood.domain.contract.contract import Target
from stillgood.domain.contract.json_rows import parse_rows
from stillgood.domain.contract.labels import RefusedLabel, read_labels
from stillgood.domain.errors import InvalidRows
from stillgood.steps.ports import Clock
from stillgood.storage.labels import append, incoming, mark_taken, quarantine
from stillgood.storage.objects import ObjectStore

_LISTED = 100


@dataclass(frozen=True, slots=True)
class IngestedLabels:
    """Counts of one batch; ``new`` is False when the very same batch was taken in before."""

    accepted: int
    refused: tuple[RefusedLabel, ...]
    new: bool

    def counts(self) -> dict[str, int]:
        return {"accepted": self.accepted, "refused": len(self.refused)}


def ingest_labels(store: ObjectStore, rows: Sequence[Mapping[str, Any]], target: Target) -> IngestedLabels:
    """Keep the labels that can be used, quarantine the others. Idempotent. Raises StoreUnavailable, and then nothing is lost on a retry."""
    accepted, refused = read_labels(rows, target)
    quarantine(store, refused)
    return IngestedLabels(len(accepted), tuple(refused), append(store, accepted))


def post_labels(body: bytes, store: ObjectStore, target: Target, *, max_rows: int, max_bytes: int) -> dict[str, Any]:
    """Answer POST /labels: one object or a list. Durable before the answer.

    Raises MalformedRequest, RequestTooLarge, StoreUnavailable (send it again), and InvalidRows when no label at all can be used.
    """
    rows, _ = parse_rows(body, max_rows=max_rows, max_bytes=max_bytes)
    taken = ingest_labels(store, rows, target)
    listed = [
        {"row": one.row, "field": one.field, "rule": "label", "value": one.raw.get(one.field), "message": one.message}
        for one in taken.refused[:_LISTED]
    ]
    if taken.refused and not taken.accepted:
        raise InvalidRows(f"None of the {len(rows)} labels can be used; nothing was changed.", listed)
    return {**taken.counts(), "duplicate": bool(taken.accepted) and not taken.new, "violations": listed}


def ingest_label_files(store: ObjectStore, target: Target, clock: Clock) -> dict[str, int]:
    """Take in every new file under ``labels/incoming/`` (.csv with a header, or .jsonl). Returns counts."""
    # With NumPy, for which predict, which takes posted labels in, must not wait.
    from stillgood.steps.labels.files import label_rows

    totals = {"files": 0, "accepted": 0, "refused": 0}
    for info in incoming(store):
        rows, broken = label_rows(info.key, store.stream(info.key))
        taken = ingest_labels(store, rows, target)
        quarantine(store, broken)
        counts = {"accepted": taken.accepted, "refused": len(taken.refused) + len(broken)}
        mark_taken(store, info, counts, clock())
        totals["files"] += 1
        for name, count in counts.items():
            totals[name] += count
    return totals

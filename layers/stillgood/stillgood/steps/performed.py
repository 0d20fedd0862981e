"""actions: take in what was really done, from POST /actions or from uploaded files. ``steps/value.py`` reads it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from stillgood.domain.actions.performed import FIELDS, read_performed
from stillgood.domain.contract.json_rows import parse_rows
from stillgood.domain.contract.labels import RefusedLabel
from stillgood.domain.errors import InvalidRows
from stillgood.steps.ports import Clock
from stillgood.storage.keys import INCOMING_ACTIONS_PREFIX
from stillgood.storage.labels import incoming, mark_taken, quarantine
from stillgood.storage.objects import ObjectStore
from stillgood.storage.performed import append_performed

_LISTED = 100


def post_actions(body: bytes, store: ObjectStore, *, now: datetime, max_rows: int, max_bytes: int) -> dict[str, Any]:
    """Answer POST /actions: one object or a list. Durable before the answer. Idempotent.

    Raises MalformedRequest, RequestTooLarge, StoreUnavailable (send it again), and InvalidRows when none can be used.
    """
    rows, _ = parse_rows(body, max_rows=max_rows, max_bytes=max_bytes)
    accepted, refused, new = ingest_actions(store, rows, now=now)
    listed = [
        {
            "row": action.row,
            "field": action.field,
            "rule": "action",
            "value": action.raw.get(action.field),
            "message": action.message,
        }
        for action in refused[:_LISTED]
    ]
    if refused and not accepted:
        raise InvalidRows(f"None of the {len(rows)} actions can be used; nothing was changed.", listed)
    return {
        "accepted": accepted,
        "refused": len(refused),
        "duplicate": bool(accepted) and not new,
        "violations": listed,
    }


def ingest_actions(
    store: ObjectStore, rows: Sequence[Mapping[str, Any]], *, now: datetime
) -> tuple[int, list[RefusedLabel], bool]:
    """Keep the actions that can be used, quarantine the others beside refused labels; how many, which, and whether they
    are new. Raises StoreUnavailable, and then nothing is lost on a retry.
    """
    accepted, refused = read_performed(rows, now=now)
    quarantine(store, refused)
    return len(accepted), refused, append_performed(store, accepted, arrived=now)


def ingest_action_files(store: ObjectStore, clock: Clock) -> dict[str, int]:
    """Take in every new file under ``labels/actions/incoming/`` (.csv with a header, or .jsonl). Returns counts."""
    from stillgood.steps.labels.files import label_rows  # loads NumPy, without which predict starts

    totals = {"files": 0, "accepted": 0, "refused": 0}
    for info in incoming(store, INCOMING_ACTIONS_PREFIX):
        rows, broken = label_rows(info.key, store.stream(info.key), FIELDS)
        accepted, refused, _ = ingest_actions(store, rows, now=clock())
        quarantine(store, broken)
        counts = {"accepted": accepted, "refused": len(refused) + len(broken)}
        mark_taken(store, info, counts, clock())
        totals["files"] += 1
        for name, rose in counts.items():
            totals[name] += rose
    return totals

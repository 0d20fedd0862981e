"""labels: ingest_labels ground truth in, from POST /labels or from uploaded files. Joining it with predictions is
monitor's (``outcomes.py``).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stillgood.domain.contract.contract import Target
from stillgood.domain.contract.json_rows import parse_rows
from stillgood.domain.contract.labels import Label, RefusedLabel, overlaps, read_labels, watermark
from stillgood.domain.contract.times import iso
from stillgood.domain.errors import InvalidRows
from stillgood.domain.outcomes.sources import API, source_of_file
from stillgood.steps.ports import Clock
from stillgood.storage.keys import INCOMING_PREFIX
from stillgood.storage.labels import append, incoming, mark_taken, quarantine
from stillgood.storage.objects import ObjectStore

_LISTED = 100
_DATE = re.compile(r"(?<!\d)(20\d{2})-?([01]\d)-?([0-3]\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class IngestedLabels:
    """Counts of one batch; ``new`` is False when the very same batch was taken in before on that day. ``repeated`` and
    ``contradicting``: labels that say again, or deny, what another of the batch says.
    """

    accepted: int
    refused: tuple[RefusedLabel, ...]
    new: bool
    complete_until: str | None
    repeated: tuple[Label, ...] = ()
    contradicting: tuple[Label, ...] = ()

    def counts(self) -> dict[str, int]:
        return {"accepted": self.accepted, "refused": len(self.refused)}

    def by_outcome(self) -> dict[str, dict[str, Any]]:
        """How many labels met which end, each with an example, where there are any. Which of the kept ones match a
        prediction is known when monitor has heard them: its report counts them.
        """
        first = self.refused[0] if self.refused else None
        kept = 0 if not self.new else self.accepted - len(self.repeated) - len(self.contradicting)
        ends: dict[str, tuple[int, Any]] = {
            "kept": (kept, None),
            "sent_before": (0 if self.new else self.accepted, None),
            "repeated": (len(self.repeated), self.repeated[0].to_dict() if self.repeated else None),
            "contradicting": (
                len(self.contradicting),
                [label.to_dict() for label in self.contradicting[:2]] if self.contradicting else None,
            ),
            "refused": (len(self.refused), None if first is None else {"row": first.row, "message": first.message}),
        }
        return {
            name: {"count": count} | ({} if example is None else {"example": example})
            for name, (count, example) in ends.items()
            if count
        }


def ingest_labels(
    store: ObjectStore,
    rows: Sequence[Mapping[str, Any]],
    target: Target,
    *,
    now: datetime,
    source: str,
    complete_until: str | None = None,
) -> IngestedLabels:
    """Keep the labels that can be used, quarantine the others. ``complete_until`` stands where no row says it.

    Idempotent. Raises StoreUnavailable, and then nothing is lost on a retry.
    """
    accepted, refused = read_labels(rows, target, now=now)
    quarantine(store, refused)
    complete = watermark(rows) or complete_until
    new = append(store, accepted, arrived=now, source=source, complete_until=complete)
    repeated, contradicting = overlaps(accepted)
    return IngestedLabels(len(accepted), tuple(refused), new, complete, tuple(repeated), tuple(contradicting))


def post_labels(
    body: bytes, store: ObjectStore, target: Target, *, now: datetime, max_rows: int, max_bytes: int, source: str = API
) -> dict[str, Any]:
    """Answer POST /labels: one object or a list. Durable before the answer. ``source``: who sent it.

    Raises MalformedRequest, RequestTooLarge, StoreUnavailable (send it again), and InvalidRows when no label at all can
    be used.
    """
    rows, _ = parse_rows(body, max_rows=max_rows, max_bytes=max_bytes)
    taken = ingest_labels(store, rows, target, now=now, source=source)
    listed = [
        {
            "row": label.row,
            "field": label.field,
            "rule": "label",
            "value": label.raw.get(label.field),
            "message": label.message,
        }
        for label in taken.refused[:_LISTED]
    ]
    if taken.refused and not taken.accepted:
        raise InvalidRows(f"None of the {len(rows)} labels can be used; nothing was changed.", listed)
    said = {"complete_until": taken.complete_until} if taken.complete_until else {}
    return {
        **taken.counts(),
        "duplicate": bool(taken.accepted) and not taken.new,
        "outcomes": taken.by_outcome(),
        "violations": listed,
        **said,
    }


def ingest_label_files(
    store: ObjectStore, target: Target, clock: Clock, *, complete_by_file_date: bool = False
) -> dict[str, int]:
    """Take in every new file under ``labels/incoming/`` (.csv with a header, or .jsonl). Returns counts.

    A file in a folder there was sent by the source of that name. ``complete_by_file_date``: a file holds all labels
    until the date in its name, or until it was uploaded where its name has none; one with rows that cannot be read has
    not told everything.
    """
    # Imported here because it loads NumPy, and predict, which takes in posted labels, must start without it.
    from stillgood.steps.labels.files import label_rows

    totals = {"files": 0, "accepted": 0, "refused": 0}
    for info in incoming(store):
        rows, broken = label_rows(info.key, store.stream(info.key))
        name = info.key.removeprefix(INCOMING_PREFIX)
        taken = ingest_labels(
            store,
            rows,
            target,
            now=clock(),
            source=source_of_file(name),
            complete_until=_file_date(name, info.modified) if complete_by_file_date and not broken else None,
        )
        quarantine(store, broken)
        counts = {"accepted": taken.accepted, "refused": len(taken.refused) + len(broken)}
        mark_taken(store, info, counts, clock())
        totals["files"] += 1
        for count, rose in counts.items():
            totals[count] += rose
    return totals


def _file_date(name: str, modified: datetime) -> str:
    match = _DATE.search(name)
    try:
        day = datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC) if match else modified
    except ValueError:
        day = modified
    return iso(day)

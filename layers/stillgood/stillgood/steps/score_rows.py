"""predict for a file or a table: rows that break the contract are set aside by name, all others are answered and
captured.

The API refuses a whole request for one bad row, because its sender can mend it; a table of thousands is not sent again
for one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import batched
from typing import Any

from stillgood.steps.predict import PredictDeps, answer, record, rejection, score
from stillgood.storage.windows import iso


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """Row ``number`` (from 1): ``answer`` as the API gives it, or None and the ``violations`` why not."""

    number: int
    answer: Mapping[str, Any] | None
    violations: tuple[Mapping[str, Any], ...] = ()


def score_rows(rows: Iterable[Mapping[str, object]], deps: PredictDeps, *, text: bool) -> Iterator[ScoredRow]:
    """Score ``rows`` with the champion of now, and capture them in requests of ``deps.max_rows``, as the API would.

    ``text``: values are as in CSV. Columns that the contract does not name are ignored. Raises NoChampion,
    ModelUnusable, StoreUnavailable.
    """
    champion = deps.champions.current()
    model, check = champion.model, champion.checker.check
    number = 0
    for batch in batched(rows, deps.max_rows, strict=False):
        now = deps.clock()
        time = iso(now)
        records: list[Mapping[str, object]] = []
        scored: list[ScoredRow] = []
        for raw in batch:
            number += 1
            row, prediction = score(model, check(raw, text=text, extra="ignore", now=now))
            if prediction is None:
                records.append(rejection(row, time, model.version))
                scored.append(ScoredRow(number, None, tuple(asdict(violation) for violation in row.violations)))
                continue
            prediction_id = deps.new_id()
            records.append(record(model, row, prediction, prediction_id, time))
            scored.append(ScoredRow(number, answer(model, row, prediction, prediction_id)))
        deps.capture.write(records, now, deps.new_id())
        yield from scored

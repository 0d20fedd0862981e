"""Chunks of rows into lines of output: predictions and rejections, and the totals that must add up."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import exp
from typing import Any, Literal

import numpy as np
import orjson

from stillgood.domain.actions.assignment import NONE, acts, assign, is_exempt
from stillgood.domain.contract.chunk import Chunk
from stillgood.domain.contract.column_check import ColumnCheck
from stillgood.domain.contract.row_check import Violation
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import Floats, logits
from stillgood.steps.batch.filled import each, filled
from stillgood.steps.predict import answer, score
from stillgood.storage.batch_capture import block_of

type Reasons = bool | Literal["features"]

_TRUTHS = np.array([b"false", b"true"], np.object_)


@dataclass(slots=True)
class Totals:
    """``rows`` = ``predicted`` + ``rejected``; ``positive`` of the predicted.

    ``rules`` counts what rejected rows broke, as "field: rule" or "rule"; ``repaired`` the values mended by the
    contract's rule, by field.
    """

    rows: int = 0
    predicted: int = 0
    positive: int = 0
    rejected: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        counts = {"rows": self.rows, "predicted": self.predicted, "positive": self.positive, "rejected": self.rejected}
        return {**counts, "rules": dict(self.rules), "repaired": dict(self.repaired)}


class Scorer:
    """Scores one input with one model.

    ``job`` names the work: row ``n`` is prediction ``<job>-<n>`` however often it is done. ``reasons`` adds all that
    the API answers; "features" splits a pair's share evenly between its two. ``at`` (aware) says in which period a
    control group is drawn.
    """

    def __init__(self, model: Model, job: str, check: ColumnCheck, *, reasons: Reasons, at: datetime) -> None:
        self._model, self._job, self._check, self._reasons, self._at = model, job, check, reasons, at
        self.totals = Totals()

    def score(self, chunk: Chunk) -> tuple[bytes, bytes, bytes]:
        """JSON lines for the rows that were predicted, and for those that were rejected, each in the order of the
        input; and the features of the predicted ones by column, as monitor reads them.
        """
        checked = self._check(chunk)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is rejected below
            logit = logits(self._model, checked.frame)
        finite = np.isfinite(logit)
        broken = {index: row.violations for index, row in checked.by_row.items() if row.violations}
        for place in np.flatnonzero(~finite).tolist():
            index = checked.accepted[place]
            broken[index] = score(self._model, self._check.row(chunk, index))[0].violations
        predicted = [index for index in checked.accepted if index not in broken] if broken else checked.accepted
        rejected = {
            line.number: _rejected(line.number, [Violation("", line.rule, None, line.message)], line.raw)
            for line in chunk.unreadable
        }
        rejected |= {
            chunk.numbers[i]: _rejected(chunk.numbers[i], violations, chunk.row(i)) for i, violations in broken.items()
        }
        totals = self.totals
        totals.rows += len(predicted) + len(rejected)
        totals.predicted += len(predicted)
        totals.rejected += len(rejected)
        totals.positive += int(np.count_nonzero(logit[finite] >= self._model.threshold_logit))
        totals.rules.update(line.rule for line in chunk.unreadable)
        totals.rules.update(self._name(violation) for violations in broken.values() for violation in violations)
        totals.repaired.update(
            repair.field for i, row in checked.by_row.items() if i not in broken for repair in row.repairs
        )
        lines = self._explained(chunk, predicted) if self._reasons else self._plain(chunk, predicted, logit[finite])
        frame = checked.frame if finite.all() else checked.frame.take(finite)
        numbers = np.array([chunk.numbers[index] for index in predicted], np.int64)
        columns = block_of(self._model.contract, frame, numbers).encoded() if predicted else b""
        return lines, b"".join(rejected[number] for number in sorted(rejected)), columns

    def _name(self, violation: Violation) -> str:
        # Names that are not the contract's come from outside: they are not counted one by one, which could fill the
        # memory.
        known = violation.field in self._model.contract.columns
        return f"{violation.field}: {violation.rule}" if known else violation.rule

    def _plain(self, chunk: Chunk, predicted: Sequence[int], logit: Floats) -> bytes:
        if not predicted:
            return b""
        calibration, numbers = self._model.calibration, chunk.numbers
        places = each(numbers if len(predicted) == len(numbers) else [numbers[index] for index in predicted])
        flagged = logit >= self._model.threshold_logit
        ids = self._check.entity_ids(chunk, predicted)
        columns: tuple[Sequence[bytes], ...] = (
            places,
            places,
            each(ids),
            each(_sigmoids(calibration.slope * logit + calibration.intercept)),
            _TRUTHS[flagged.view(np.int8)].tolist(),
            each(_sigmoids(logit)),
            each(logit),
        )
        # Every value as orjson writes it, but a column at a time: a sixth of the time of a dictionary a row.
        line = (
            f'{{"row":%s,"prediction_id":"{self._job}-%s","entity_id":%s,"probability":%s,"decision":%s,"score":%s,'
            '"logit":%s'
        )
        if self._model.contract.control is not None:
            exempt = self._exempt(chunk)
            groups = [
                self._group(chunk, index, entity, yes, exempt)
                for index, entity, yes in zip(predicted, ids, flagged.tolist(), strict=True)
            ]
            act = [
                b"true" if acts(group or NONE, yes) else b"false" for group, yes in zip(groups, flagged, strict=True)
            ]
            columns = (*columns, act, [(group or NONE).encode() for group in groups])
            line += ',"act":%s,"group":"%s"'
        line += "}\n"
        return filled(line.encode(), columns)

    def _exempt(self, chunk: Chunk) -> Sequence[object] | None:
        """What says who is never left alone, by row of the chunk; None where nothing says so."""
        rules = self._model.contract.control
        return None if rules is None or rules.exempt is None else chunk.column(rules.exempt)

    def _group(
        self, chunk: Chunk, index: int, entity: str | None, flagged: bool, exempt: Sequence[object] | None
    ) -> str | None:
        """The group of row ``index`` of the chunk; None where the contract declares no actions."""
        rules = self._model.contract.control
        if rules is None:
            return None
        name = entity or f"{self._job}-{chunk.numbers[index]}"
        return assign(rules, name, flagged, exempt is not None and is_exempt(exempt[index]), self._at)

    def _explained(self, chunk: Chunk, predicted: Sequence[int]) -> bytes:
        lines, exempt = [], self._exempt(chunk)
        for index in predicted:
            number = chunk.numbers[index]
            row = self._check.row(chunk, index)
            scored = self._model.score(row.values)
            body = answer(
                self._model,
                row,
                scored,
                f"{self._job}-{number}",
                split_pairs=self._reasons == "features",
                group=self._group(chunk, index, row.entity_id, scored.decision, exempt),
            )
            lines.append(orjson.dumps({"row": number, **body}, option=orjson.OPT_APPEND_NEWLINE))
        return b"".join(lines)


def _sigmoids(x: Floats) -> Floats:
    """``sigmoid`` of each, to the last bit: the exponentials are ``math.exp``'s, from which NumPy's may differ in the
    last bit.
    """
    e = np.fromiter(map(exp, (-np.abs(x)).tolist()), np.float64, len(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _rejected(number: int, violations: Iterable[Violation], raw: str | Mapping[str, Any]) -> bytes:
    line = {"row": number, "violations": [asdict(violation) for violation in violations], "raw": raw}
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(line, default=str, separators=(",", ":")).encode() + b"\n"

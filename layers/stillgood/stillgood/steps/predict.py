"""predict: rows in, decisions with exact reasons out, and a record of each for monitoring."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import inf, isfinite
from typing import Any, Protocol

import orjson

from stillgood.domain.actions.assignment import acts, assign, is_exempt
from stillgood.domain.contract.capture_record import CapturedPrediction, CapturedRejection
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.json_rows import parse_rows
from stillgood.domain.contract.row_check import CheckedRow, Violation, shorten
from stillgood.domain.errors import InvalidRows, ObjectNotFound, RequestTooLarge, StillgoodError
from stillgood.domain.model.model import Model, Score
from stillgood.domain.outcomes.sources import known_as
from stillgood.steps.ports import Clock
from stillgood.steps.repeat import Repeat
from stillgood.storage.champion import ChampionSource
from stillgood.storage.objects import ObjectStore
from stillgood.storage.windows import iso

MAX_ANSWER_BYTES = 6_000_000  # Lambda lets 6,291,556 through, with what API Gateway's event has around it
TOP_REASONS = 5
MAX_VIOLATIONS = 100  # listed in one answer, and of one row in its capture; what an answer counts is always all of them


class CaptureLog(Protocol):
    """Where records go (``aws/capture.py``)."""

    def write(
        self, records: Sequence[Mapping[str, object]], now: datetime, unique: str, *, required: bool = False
    ) -> None:
        """Keep one request's records before its answer leaves; ``unique`` is the request's own. Must not raise when the
        store fails, unless they are ``required``: then NotCaptured.
        """

    def status(self) -> dict[str, object]:
        """Counts of what was written, waits or was lost."""


@dataclass(frozen=True, slots=True)
class PredictDeps:
    """What predict works with. ``new_id`` gives a unique id per call; the limits, in rows and bytes, are per
    request.
    """

    champions: ChampionSource
    capture: CaptureLog
    clock: Clock
    new_id: Callable[[], str]
    max_rows: int
    max_bytes: int
    max_answer_bytes: int = MAX_ANSWER_BYTES
    store: ObjectStore | None = None  # where answers to requests with an Idempotency-Key are kept; None: nowhere


@dataclass(frozen=True, slots=True)
class Answered:
    """``body``: one answer for one object, ``{"predictions": [...]}`` for a list, in the order asked; ``data``: as
    JSON. ``repeated``: it was answered before.
    """

    body: Mapping[str, object]
    rows: int
    model_version: str
    data: bytes
    repeated: bool = False


def predict(
    body: bytes,
    serving: PredictDeps,
    *,
    split_pairs: bool = False,
    reasons: int | None = None,
    repeat: Repeat | None = None,
    caller: str | None = None,
) -> Answered:
    """Answer one request. Every row is checked before any is answered, and one model answers them all.

    ``split_pairs``: the reasons are of single features only (see ``answer``). ``reasons``: how many of the largest are
    answered, None for all. ``repeat``: a request that may have been answered before.
    ``caller``: who asks, as API Gateway says; None where nobody was asked.

    Raises MalformedRequest, RequestTooLarge, NoChampion, StoreUnavailable, ModelUnusable, KeyReused, and InvalidRows,
    which names every field of every row that breaks the contract. What is refused as too large was not captured.
    """
    raw, single = parse_rows(body, max_rows=serving.max_rows, max_bytes=serving.max_bytes)
    champion = serving.champions.current()
    model, check = champion.model, champion.checker.check
    caller = known_as(caller, hashed=model.contract.callers == "hashed")
    now = serving.clock()
    if repeat is not None and (before := repeat.answered(now)) is not None:
        return _repeated(before)
    scored = [score(model, check(row, now=now)) for row in raw]
    time = iso(now)
    broken = [row for row, prediction in scored if prediction is None]
    if broken:
        refused = [rejection(row, time, model.version, caller, len(broken)) for row in broken]
        serving.capture.write(refused, now, serving.new_id())
        raise _invalid([row for row, _ in scored])
    answers, records, rules = [], [], model.contract.control
    for place, (row, prediction) in enumerate(scored):
        assert prediction is not None
        prediction_id = serving.new_id()
        group = None
        if rules is not None:
            exempt = rules.exempt is not None and is_exempt(raw[place].get(rules.exempt))
            group = assign(rules, row.entity_id or prediction_id, prediction.decision, exempt, now)
        answers.append(
            answer(model, row, prediction, prediction_id, split_pairs=split_pairs, group=group, reasons=reasons)
        )
        records.append(record(model, row, prediction, prediction_id, time, group, caller))
    answered = answers[0] if single else {"predictions": answers}
    data = orjson.dumps(answered)
    _fits(data, len(answers), serving.max_answer_bytes)
    if repeat is not None and (before := repeat.keep(answers, single=single, now=now)) is not None:
        return _repeated(before)
    if records:
        required = model.contract.capture == "required"
        serving.capture.write(records, now, prediction_id, required=required)
    return Answered(answered, len(answers), model.version, data)


def _fits(data: bytes, rows: int, limit: int) -> None:
    """Raises RequestTooLarge for an answer above Lambda's limit, which counts it as a JSON text: a quote takes two
    bytes there.
    """
    size = len(data) + data.count(b'"') + data.count(b"\\")
    if size > limit:
        allowed = max(1, rows * limit // size)
        raise RequestTooLarge(
            f"The answer to {rows} rows would have {size} bytes; {limit} are possible. Send at most {allowed} rows like"
            " these at once, or ask for ?reasons=top or none; nothing was predicted.",
            max_rows=allowed,
        )


def _repeated(body: Mapping[str, Any]) -> Answered:
    answers = body.get("predictions", [body])
    version = str(answers[0].get("model_version")) if answers else ""
    return Answered(body, len(answers), version, orjson.dumps(body), repeated=True)


def describe(serving: PredictDeps) -> dict[str, Any]:
    """``GET /model``: the production pointer, and the contract that rows must keep. Raises what finding the champion
    raises.
    """
    champion = serving.champions.current()
    return {**champion.pointer.to_dict(), "contract": champion.model.contract.to_dict()}


def status(serving: PredictDeps) -> dict[str, Any]:
    """``GET /status``: how the champion and the capture stand in this process. Never raises, so that it can tell of any
    trouble.
    """
    with suppress(StillgoodError):  # told below, as the champion's last error
        serving.champions.current()
    champion = asdict(serving.champions.status())
    return {
        "serving": champion["version"] is not None,
        "champion": {name: iso(value) if isinstance(value, datetime) else value for name, value in champion.items()},
        "operating_point": serving.champions.point_status(),
        "monitoring": serving.champions.standing(),
        "summary": _summary(serving),
        "capture": serving.capture.status(),
        "limits": {"max_rows": serving.max_rows, "max_bytes": serving.max_bytes},
    }


def _summary(serving: PredictDeps) -> dict[str, Any] | None:
    """Is anything wrong: the lines of `stillgood status`, from what monitor and promote left; None where nothing can be
    read.
    """
    if serving.store is None:
        return None
    from stillgood.domain.policy.summary import WORDS, put_in_force, summarise, worst
    from stillgood.storage.artifacts import dates_of
    from stillgood.storage.codec import decode_any
    from stillgood.storage.keys import OVERVIEW_KEY

    pointer, serves, troubles, now = None, None, [], serving.clock()
    if (stands := serving.champions.status()).stale:
        troubles.append((2, f"an outdated champion serves since {stands.since}: {stands.last_error}"))
    with suppress(StillgoodError):
        pointer = serving.champions.current().pointer
    try:
        history: dict[str, Any] = {}
        with suppress(ObjectNotFound):
            history = decode_any(serving.store.get(OVERVIEW_KEY).data, what=OVERVIEW_KEY)
        if pointer is not None:
            known = history.get("decisions") or ()
            serves = put_in_force(pointer.version, pointer.promoted_at, pointer.decision, known)
            serves |= dates_of(serving.store, pointer.version)
        lines = summarise(history, serving=serves, now=now, troubles=troubles)
    except (StillgoodError, KeyError, TypeError, ValueError):
        return None
    level = worst(lines)
    return {"status": level, "says": WORDS[level], "lines": [line.to_dict() for line in lines]}


def contract(serving: PredictDeps) -> Contract | None:
    """The champion's contract, None while there is none to be had."""
    try:
        return serving.champions.current().model.contract
    except StillgoodError:
        return None


def score(model: Model, row: CheckedRow) -> tuple[CheckedRow, Score | None]:
    """The row's score; None, and then violations in the row, when it breaks the contract or its numbers overflow the
    model.
    """
    if row.violations:
        return row, None
    result = model.score(row.values)
    if isfinite(result.logit):
        return row, result
    sizes = [
        (abs(added) if isfinite(added) else inf, term.name)
        for term, added in zip(model.terms, result.contributions, strict=False)  # a pair's share is always finite
    ]
    _, name = max(sizes)
    return replace(row, violations=(overflow(model, name, row.values[name]),)), None


def overflow(model: Model, name: str, value: float | str | None) -> Violation:
    """Why a row cannot be scored in which the feature ``name`` is so far out that the sum is no number any more."""
    shown = None if model.contract.feature(name).pii else shorten(value)
    return Violation(name, "overflow", shown, f"{name} is too large to be scored.")


def answer(
    model: Model,
    row: CheckedRow,
    prediction: Score,
    prediction_id: str,
    *,
    split_pairs: bool = False,
    group: str | None = None,
    reasons: int | None = None,
) -> dict[str, Any]:
    """What the caller gets for one row.

    ``baseline`` plus the contributions, added up in the contract's order of features, then pairs, is ``logit`` to the
    last bit; ``calibration`` is the step from there to the logit of ``probability``. ``reasons`` lists the
    contributions by size, largest first. A pair that acts is a reason of its own ("tenure x contract"), or, with
    ``split_pairs``, half of its share goes to either feature. ``reasons``: how many are listed, None for all.
    """
    values, added, sent = list(row.values.items()), prediction.contributions, model.as_sent
    if model.pairs:
        if split_pairs:
            from stillgood.domain.model.pairs import split_evenly

            added = split_evenly([name for name, _ in values], model.pairs, added)
        else:
            values += zip(model.names[len(values) :], model.pair_values(row.values), strict=True)
    sizes = list(map(abs, added))
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    body: dict[str, Any] = {
        "prediction_id": prediction_id,
        "entity_id": row.entity_id,
        "probability": prediction.probability,
        "decision": prediction.decision,
        "threshold": prediction.threshold,
        "score": prediction.score,
        "confidence": prediction.confidence,
        "logit": prediction.logit,
        "baseline": model.baseline,
        "reasons": [
            {
                "feature": (name := values[place][0]),
                "value": sent[name](value) if (value := values[place][1]) is not None and name in sent else value,
                "contribution": added[place],
            }
            for place in by_size[:reasons]
        ],
        "calibration": model.calibration.adds(prediction.logit),
        "repairs": [asdict(repair) for repair in row.repairs],
        "model_version": model.version,
        "operating_point": model.operating_point,
    }
    if group is not None:
        body["act"], body["group"] = acts(group, prediction.decision), group
    return body


def record(
    model: Model,
    row: CheckedRow,
    prediction: Score,
    prediction_id: str,
    time: str,
    group: str | None = None,
    caller: str | None = None,
) -> dict[str, object]:
    """What monitoring gets to see of a prediction, as one line of its capture."""
    return CapturedPrediction(
        prediction_id=prediction_id,
        time=time,
        entity_id=row.entity_id,
        features={feature.name: row.values[feature.name] for feature in model.contract.features if not feature.pii},
        score=prediction.score,
        probability=prediction.probability,
        decision=prediction.decision,
        model=model.version,
        repairs=tuple([repair.field for repair in row.repairs]),
        point=model.operating_point,
        group=group,
        caller=caller,
    ).to_dict()


def rejection(
    row: CheckedRow, time: str, version: str, caller: str | None = None, request_rows: int = 0
) -> dict[str, object]:
    """What monitoring gets to see of a refused row, as one line of its capture."""
    broken = tuple([{"field": broken.field, "rule": broken.rule} for broken in row.violations[:MAX_VIOLATIONS]])
    return CapturedRejection(time, broken, version, caller, request_rows).to_dict()


def _invalid(rows: Sequence[CheckedRow]) -> InvalidRows:
    violations = [{"row": index, **asdict(violation)} for index, row in enumerate(rows) for violation in row.violations]
    refused = sum(1 for row in rows if row.violations)
    detail = f"{refused} of {len(rows)} rows break the contract in {len(violations)} places; nothing was predicted."
    if len(violations) > MAX_VIOLATIONS:
        detail += f" The first {MAX_VIOLATIONS} are listed."
    return InvalidRows(detail + " GET /model shows the contract.", violations[:MAX_VIOLATIONS], refused)

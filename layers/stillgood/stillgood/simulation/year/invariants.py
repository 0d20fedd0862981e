"""What must be true of a life at rest: every event has arrived, every window is judged, every label is heard."""

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import numpy as np

from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import StillgoodError
from stillgood.domain.outcomes.evidence import microseconds
from stillgood.domain.outcomes.feeds import Feed
from stillgood.domain.outcomes.ledger import CLOCK_SKEW, CONTRADICTING, NEGATIVE, POSITIVE, UNKNOWN, identity
from stillgood.domain.promotion.holdout import Holdout
from stillgood.simulation.year.book import AcceptedLabel
from stillgood.simulation.year.life import SETTLE_SECONDS, Life
from stillgood.steps.forget import ROW_PREFIXES
from stillgood.steps.monitor.replay import replay_windows
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import verify
from stillgood.storage.champion import load_served
from stillgood.storage.keys import (
    BATCH_PREFIX,
    CAPTURE_PREFIX,
    CONTRACT_KEY,
    DATA_PREFIX,
    FOLDS,
    HOLDOUT,
    INCOMING_ACTIONS_PREFIX,
    INCOMING_PREFIX,
    LABELS_PREFIX,
    LEARNT,
    LEDGER_PREFIX,
    MODELS_PREFIX,
    REFUSED_LABELS_PREFIX,
    REPORTS_PREFIX,
    REQUESTS_PREFIX,
    STATE_KEY,
    SUMMARIES_PREFIX,
    TRAINING_PREFIX,
    artifact_key,
    outcomes_key,
    taken_key,
)
from stillgood.storage.labels import read_batch
from stillgood.storage.outcomes import ledger_days, read_day, read_progress
from stillgood.storage.performed import performed
from stillgood.storage.registry import Registry
from stillgood.storage.training_data import LABEL_ARRIVED_AT, PREDICTION_ID, is_joined
from stillgood.storage.windows import Window, utc
from stillgood.training.ingest import DUPLICATE, SUPERSEDED, Ingested, ingest
from stillgood.training.judged import row_ids, seen_in

_NOBODY = re.compile(rb"nobody-[\w-]+")  # ids that nobody has, made of real ones
type Found = Iterator[str]
type Invariant = Callable[[Life], Found]


def at_rest(life: Life) -> None:
    """Check all of them, each as often as it is broken, at most three times told."""
    for name, check in AT_REST.items():
        for place, detail in enumerate(check(life)):
            if place < 3:
                life.book.fail(name, detail)


def _champion_whole(life: Life) -> Found:
    pointer = Registry(life.bucket).pointer()
    if pointer is not None:
        try:
            load_served(life.bucket, pointer)
        except StillgoodError as error:
            yield f"{pointer.version} cannot serve: {error.detail}"


def _log_verifies(life: Life) -> Found:
    yield from (f"{problem.kind} {problem.key}: {problem.detail}" for problem in verify(life.bucket))


def _log_replays(life: Life) -> Found:
    yield from (
        f"{replayed.n}: {replayed.detail}"
        for replayed in replay(life.bucket)
        if not replayed.same and not replayed.forgotten
    )
    yield from (
        f"{replayed.window}: {replayed.detail}"
        for replayed in replay_windows(life.bucket)
        if not replayed.same
        and not (replayed.window in life.book.continued_old and replayed.detail.startswith("begins with another state"))
    )


def _captured_once(life: Life) -> Found:
    book = life.book
    for answer in book.answered.values():
        written = book.captured.get(answer.prediction_id, [])
        if not written and answer.prediction_id not in book.lost:
            yield f"{answer.prediction_id} was answered, is not captured, and nobody was told"
        if len({key for key, _ in written}) > 1:
            yield f"{answer.prediction_id} was captured {len(written)} times: {written}"


def _judged_once(life: Life) -> Found:
    """A window counts what was captured in it by its end, and nothing that was captured after it was judged."""
    book = life.book
    times = [(at, written) for lines in book.lines.values() for at, written in lines]
    times.sort()
    for name, report in book.judged.items():
        window = Window.from_id(name)
        inside = [written for at, written in times if at in window]
        counted = report["rows"] + report["contract"]["refused"]
        low = sum(written <= window.end + timedelta(seconds=SETTLE_SECONDS / 2) for written in inside)
        high = sum(written <= book.judged_at[name] for written in inside)
        gone = len(book.forgetting) * 10  # rows of a forgotten customer may be gone by then
        if not low - gone <= counted <= high:
            yield f"window {name} counts {counted} rows; {low} to {high} were captured in it"


def _effects_arrive(life: Life) -> Found:
    done = {json.loads(life.bucket.get(key).data)["request_id"] for key in life.keys(TRAINING_PREFIX)}
    for request, step in life.book.effects.items():
        if step == "train" and request not in done | life.book.refused:
            yield f"{request} was to be trained, and never was"
        if step == "promote" and request not in life.book.requests:
            yield f"{request} was to be decided, and never was"
    for request in done - set(life.book.requests):
        yield f"{request!r} was trained, and never decided"


def _labels_kept(life: Life) -> Found:
    """What was accepted by the API, or can be read in a file, is in the label ledger; a file is taken."""
    kept: Counter[tuple[str, str, datetime]] = Counter()
    for key in life.keys(LEDGER_PREFIX):
        with suppress(StillgoodError):
            for label in read_batch(life.bucket, key).labels:
                kept[label.prediction_id or label.entity_id, label.label, utc(label.event_time)] += 1
    revoked = {label for _, labels in life.book.revoked for label in labels}
    for accepted in life.book.accepted:
        gone = _of_forgotten(life, accepted.id) or accepted in revoked
        if not kept[accepted.id, accepted.label, utc(accepted.event)] and not gone:
            yield f"{accepted} was accepted, and is not in the ledger"
    for info in (*life.bucket.list(INCOMING_PREFIX), *life.bucket.list(INCOMING_ACTIONS_PREFIX)):
        if life.bucket.peek(taken_key(info.key, info.etag)) is None:
            yield f"{info.key} was never taken in"


def _revoked(life: Life) -> Found:
    """Of labels that were taken back none that had arrived before is left, and no training row that they told of."""
    for began, labels in life.book.revoked:
        for key in life.keys(LEDGER_PREFIX):
            with suppress(StillgoodError):
                batch = read_batch(life.bucket, key)
                if batch.arrived is None or batch.arrived >= began:
                    continue
                for label in batch.labels:
                    if AcceptedLabel(label.prediction_id or label.entity_id, label.label, label.event_time) in labels:
                        yield f"{label} of {key} was taken back {began}, and is there"


def _actions_kept(life: Life) -> Found:
    kept = {(action.prediction_id or action.entity_id, utc(action.time)) for action in performed(life.bucket)}
    for about, done in life.book.acted:
        if (about, utc(done)) not in kept and not _of_forgotten(life, about):
            yield f"what was done about {about} at {done} was accepted, and is not kept"


def _labels_add_up(life: Life) -> Found:
    progress, _ = read_progress(life.bucket)
    totals = progress.totals
    ends = ("matched", "before_prediction", "without_prediction")
    said = totals.get("heard", 0)
    future = totals.get("future", 0)
    made = sum(totals.get(name, 0) for name in ends) + len(progress.waiting) + future
    # A label that waits is forgotten with whom it is about, but none is ever counted twice.
    if made > said or (made < said and not life.book.forgetting):
        yield f"{said} labels were heard, and {made} came to an end: {totals}, {len(progress.waiting)} wait"


def _outcomes_follow_labels(life: Life) -> Found:
    """The ledger says of every prediction what its labels say by the rules at the top of domain/outcomes/ledger.py.

    Not of a customer whose forgetting came to no end: labels go before the ledger, and a person runs it again.
    """
    half_forgotten = {identity(customer) for customer in life.book.forgetting - life.book.forgotten.keys()}
    raw = life.bucket.peek(CONTRACT_KEY)
    assert raw is not None
    reach = Feed.of(read_contract(json.loads(raw))).reach
    by_id: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    by_entity: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    for info in life.bucket.list(LEDGER_PREFIX):
        with suppress(StillgoodError):
            batch = read_batch(life.bucket, info.key)
            arrived = microseconds(batch.arrived or info.modified)
            for label in batch.labels:
                event = microseconds(utc(label.event_time))
                if event <= arrived + CLOCK_SKEW:
                    into = by_id if label.prediction_id else by_entity
                    into[identity(label.prediction_id or label.entity_id)].append(
                        (event, arrived, label.label == "yes")
                    )
    for day in ledger_days(life.bucket):
        known, _ = read_day(life.bucket, day)
        if known is None:
            yield f"the ledger of {day} cannot be read"
            continue
        for record in known.records:
            wanted = _outcome(
                int(record["time"]),
                by_id[int(record["id"])],
                by_entity[int(record["entity"])],
                reach.within,
                reach.limit,
            )
            if int(record["outcome"]) != wanted and int(record["entity"]) not in half_forgotten:
                yield f"{day}: the ledger says {int(record['outcome'])} of a prediction, its labels {wanted}"


def _outcome(
    at: int, own: list[tuple[int, int, bool]], of_entity: list[tuple[int, int, bool]], within: int, limit: int
) -> int:
    """The rules of the ledger once more, for one prediction. A label is (event, arrived, positive)."""
    mine = [label for label in own if label[0] > at]
    near = [label for label in of_entity if at < label[0] <= at + within]
    later = [label for label in of_entity if at + within < label[0] <= at + limit]
    if not (mine or near or later):
        return UNKNOWN
    if mine or near:
        event = max(label[0] for label in mine or near)
        group = [label for label in mine or near if label[0] == event]
    else:
        event = min(label[0] for label in later)
        group = [label for label in later if label[0] == event]
    arrived = max(label[1] for label in group)
    said = {label[2] for label in group if label[1] == arrived}
    return CONTRADICTING if len(said) > 1 else POSITIVE if said.pop() else NEGATIVE


def _ledger_whole(life: Life) -> Found:
    """Every captured prediction is in the outcome ledger once, in the day of its capture."""
    progress, _ = read_progress(life.bucket)
    if progress.until is None:
        return
    counts: Counter[int] = Counter()
    for day in ledger_days(life.bucket):
        known, _ = read_day(life.bucket, day)
        if known is not None:
            counts.update(int(number) for number in known.records["id"])
    twice = [number for number, count in counts.items() if count > 1]
    if twice:
        yield f"{len(twice)} predictions are in the ledger more than once"
    missing = [
        prediction
        for prediction in life.book.captured
        if not counts[identity(prediction)]
        and not _of_forgotten(life, prediction)
        and _captured_before(life, prediction, progress.until)
    ]
    if missing:
        yield f"{len(missing)} captured predictions are not in the outcome ledger, such as {missing[0]}"


def _captured_before(life: Life, prediction_id: str, until: datetime) -> bool:
    key = life.book.captured[prediction_id][0][0]
    day, hour = key.removeprefix(CAPTURE_PREFIX).split("/")[:2]
    return utc(f"{day.removeprefix('dt=')}T{hour.removeprefix('hour=')}:00:00Z") < until


def _training_rows(life: Life) -> Found:
    """The newest training row of a prediction says what the ledger says was learnt, and no file has it twice."""
    said: dict[str, tuple[str, str]] = {}
    for key in life.keys(DATA_PREFIX):
        if not is_joined(key):
            continue
        seen: set[str] = set()
        for row in csv.DictReader(io.StringIO(life.bucket.get(key).data.decode(), newline="")):
            name = row[PREDICTION_ID]
            if name in seen:
                yield f"{key} has {name} twice"
            seen.add(name)
            said[name] = max(said.get(name, ("", "")), (row[LABEL_ARRIVED_AT], row["left"]))
    if not said:
        return
    learnt: dict[int, int] = {}
    for day in ledger_days(life.bucket):
        known, _ = read_day(life.bucket, day)
        if known is not None:
            learnt |= dict(zip(known.records["id"].tolist(), known.records["learnt"].tolist(), strict=True))
    for name, (_, left) in said.items():
        wanted = POSITIVE if left == "yes" else NEGATIVE
        if learnt.get(identity(name), wanted) not in (wanted, UNKNOWN):
            yield f"the newest training row of {name} says {left}, and the ledger that it learnt otherwise"


def _rows_add_up(life: Life) -> Found:
    """Every uploaded or joined row is accepted, refused, or was there before: no row is gone without a word."""
    lines = 0
    for key in life.keys(DATA_PREFIX):
        data = life.bucket.get(key).data
        lines += 0 if data.startswith(b"\0") else max(data.count(b"\n") - 1, 0)
    counts = _ingested(life).counts()
    before = counts["repaired"].get(DUPLICATE, 0) + counts["repaired"].get(SUPERSEDED, 0)
    if lines != counts["accepted"] + counts["refused_rows"] + before:
        yield f"{lines} rows became {counts}"


def _ingested(life: Life) -> Ingested:
    raw = life.bucket.peek(CONTRACT_KEY)
    assert raw is not None
    objects = [(key, partial(life.bucket.stream, key)) for key in life.keys(DATA_PREFIX)]
    return ingest(read_contract(json.loads(raw)), objects, latest=life.clock())


def _trained_or_judged(life: Life) -> Found:
    """No row both trains and judges: of the rows that judged a version, the model before it has learnt none, unless its
    fold models judged in its place.
    """
    taken = _ingested(life)
    names = zip(taken.frame.columns["first"].tolist(), taken.frame.columns["second"].tolist(), strict=True)
    ids = dict(zip(names, row_ids(taken.times, taken.hashes).tolist(), strict=True))
    for key in life.keys(MODELS_PREFIX):
        if not key.endswith(f"/{FOLDS}"):
            continue
        folds = json.loads(life.bucket.get(key).data)
        learnt = None if folds["against"] is None else life.bucket.peek(artifact_key(folds["against"], LEARNT))
        if learnt is None or not folds["unseen"]:
            continue
        holdout = Holdout.from_dict(
            taken.frame.contract, json.loads(life.bucket.get(artifact_key(key.split("/")[1], HOLDOUT)).data)
        )
        rows = zip(holdout.frame.columns["first"].tolist(), holdout.frame.columns["second"].tolist(), strict=True)
        shared = np.array([ids[row] for row in rows if row in ids], np.uint32)
        if (count := int(seen_in(json.loads(learnt), shared).sum())) > len(
            shared
        ) // 50:  # ids of 32 bits may meet by chance
            yield f"{key} is judged on {count} of {len(shared)} rows that {folds['against']} has learnt from"


def _forgotten(life: Life) -> Found:
    """Nothing made of a customer's rows from before is left, in no version either. Later labels find nothing."""
    for customer, began in life.book.forgotten.items():
        first, name = life.book.first_forgotten[customer], re.compile(rb"\b" + customer.encode() + rb"\b")
        answers = [
            answer
            for answer in life.book.answered.values()
            if answer.customer == customer and answer.answered_at < began
        ]
        # Of a prediction whose capture was lost nothing says whose it was.
        ids = [answer.prediction_id.encode() for answer in answers if answer.prediction_id in life.book.captured]
        for prefix in ROW_PREFIXES:
            for info in life.bucket.list(prefix):
                label = info.key.startswith((LABELS_PREFIX, REFUSED_LABELS_PREFIX))
                if label and info.modified >= began:
                    continue
                data = _NOBODY.sub(b"", life.bucket.get(info.key).data)
                old = info.modified < began and prefix != DATA_PREFIX and name.search(data)
                # A label that came between two runs names a prediction of which no capture says whose it was.
                told = ids if not (label and info.modified >= first) else ()
                if old or any(prediction in data for prediction in told):
                    yield f"{info.key} of {info.modified} still tells of {customer}, forgotten {began}"
        for key, versions in life.bucket.versions.items():
            if key.startswith(LEDGER_PREFIX) and key >= f"{LEDGER_PREFIX}{first:%Y-%m-%d}":
                continue  # told later
            if key.startswith(ROW_PREFIXES) and any(prediction in data for prediction in ids for data in versions):
                yield f"an old version of {key} still tells of {customer}, forgotten {began}"


def _of_forgotten(life: Life, identity_: str) -> bool:
    answer = life.book.answered.get(identity_)
    return (answer.customer if answer else identity_) in life.book.forgetting


def _bounded(life: Life) -> Found:
    """Objects and bytes that are kept grow with what happened, not with how often it was tried."""
    decisions = len(life.book.requests)
    if (count := len(life.keys(REQUESTS_PREFIX))) > decisions:
        yield f"{count} request entries for {decisions} decisions"
    days = (life.clock() - life.at(0)).days + 1
    if (count := len(life.keys(REPORTS_PREFIX))) > days:  # a window is a day
        yield f"{count} reports in {days} days"
    versions = len({version for _, version in life.book.champions})
    if (count := len(life.keys(SUMMARIES_PREFIX))) > 24 * days * max(versions, 1):
        yield f"{count} summaries in {days} days under {versions} champions"
    quiet = [cost.calls for cost in life.costs if cost.step == "monitor"][-5:]
    if max(quiet, default=0) > min(quiet, default=0) + 50:
        yield f"windows in which nothing happens cost {quiet} calls, more with each day"
    for key, limit in ((STATE_KEY, 120_000), (outcomes_key("progress"), 60_000)):
        if (size := len(life.bucket.peek(key) or b"")) > limit:
            yield f"{key} has {size} bytes"


def _readable(life: Life) -> Found:
    """Every document that the code wrote is JSON with a format, or lines of JSON."""
    for info in life.bucket.list(""):
        if info.key.endswith(".json") and not info.key.startswith(BATCH_PREFIX):
            try:
                raw = json.loads(life.bucket.get(info.key).data)
                if not isinstance(raw, dict):
                    yield f"{info.key} is no object"
            except ValueError:
                yield f"{info.key} cannot be read"


AT_REST: dict[str, Invariant] = {
    "champion whole": _champion_whole,
    "log verifies": _log_verifies,
    "log replays": _log_replays,
    "captured once": _captured_once,
    "judged once": _judged_once,
    "effects arrive": _effects_arrive,
    "labels kept": _labels_kept,
    "labels add up": _labels_add_up,
    "actions kept": _actions_kept,
    "revoked": _revoked,
    "outcome as told": _outcomes_follow_labels,
    "ledger whole": _ledger_whole,
    "training rows": _training_rows,
    "rows add up": _rows_add_up,
    "trained or judged": _trained_or_judged,
    "forgotten": _forgotten,
    "bounded": _bounded,
    "readable": _readable,
}

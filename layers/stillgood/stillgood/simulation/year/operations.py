"""What people, clients and other systems do to the project, by the kind of operation."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from stillgood.domain.contract.labels import Label
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import InvalidRows, MalformedRequest, StillgoodError
from stillgood.pages.writer import write_window
from stillgood.simulation.year.book import AcceptedLabel
from stillgood.simulation.year.life import SECOND, Letter, Life
from stillgood.simulation.year.plan import Operation, contract
from stillgood.simulation.year.tasks import Task
from stillgood.simulation.year.weather import DAY, HOUR, WeatheredStore
from stillgood.steps.forget import forget
from stillgood.steps.labels.quarantine import export, listing, reingest
from stillgood.steps.labels.revoke import Which, revoke
from stillgood.steps.monitor.compact import COMPACT
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import verify
from stillgood.storage.codec import encode
from stillgood.storage.keys import (
    BATCH_PREFIX,
    CONTRACT_KEY,
    DATA_PREFIX,
    INCOMING_ACTIONS_PREFIX,
    INCOMING_PREFIX,
    LEDGER_PREFIX,
    MODEL,
    MODELS_PREFIX,
    OUTCOMES_PREFIX,
    POINTER_KEY,
    REFUSED_ROWS_PREFIX,
    STATE_KEY,
    artifact_key,
    capture_key,
    outcomes_key,
)
from stillgood.storage.labels import read_batch
from stillgood.storage.registry import Registry
from stillgood.storage.settings import write_settings
from stillgood.storage.windows import Window, iso
from stillgood.testing.faulty import Crashed

_PATIENCE = 4  # how often a client sends what was not answered
_JUNK = b"\x00 not what was written"
_ATTEMPTS = 40  # an hour apart: under bad weather what reads the whole bucket fails often


def begin(life: Life, operation: Operation) -> None:
    """Put ``operation`` on the calendar."""
    work = KINDS[operation.kind]
    life.scheduler.start(
        f"{operation.number}.{operation.kind}/1", life.at(operation.at), lambda task: work(life, task, operation)
    )


def _predict(life: Life, task: Task, operation: Operation) -> None:
    rows, leaves = operation.args["rows"], operation.args["leaves"]
    single = not isinstance(rows, list)
    wanted = [rows] if single else list(rows)
    fates = list(leaves)
    for _ in range(_PATIENCE):
        body = json.dumps(wanted[0] if single else wanted).encode()
        sent_at = life.clock()
        answered = life.request(task, "/predict", body)
        if answered is not None:
            status, answer, instance = answered
            life.book.count(f"predict: {status}")
            if status == 200:
                made = [answer] if single else answer["predictions"]
                life.note_answers(list(zip(made, fates, strict=True)), instance, sent_at)
                life.predicted[operation.number] = [
                    (prediction["prediction_id"], prediction["entity_id"], fate)
                    for prediction, fate in zip(made, fates, strict=True)
                ]
                return
            if status == 422:  # the client leaves the rows out that were refused
                bad = {violation["row"] for violation in answer["violations"]}
                kept = [place for place in range(len(wanted)) if place not in bad]
                if single or not kept:
                    return
                wanted, fates = [wanted[place] for place in kept], [fates[place] for place in kept]
                continue
        task.pause(5.0)


def _labels(life: Life, task: Task, operation: Operation) -> None:
    predictions = life.predicted.get(operation.args["about"], [])
    rows = [_label(life, operation, *prediction) for prediction in predictions]
    if operation.args["spoilt"] in ("selected", "one class"):
        rows = [row for row in rows if row["label"] == "yes"]
    if not rows:
        return
    answer = _tell(life, task, operation, "labels", INCOMING_PREFIX, rows)
    if answer is None:
        return
    refused = {violation["row"] for violation in answer["violations"]}
    if answer["accepted"] + answer["refused"] < len({json.dumps(row) for row in rows}):
        life.book.fail("labels kept", f"of {len(rows)} labels {answer['accepted']} were accepted, and "
                       f"{answer['refused']} refused")  # fmt: skip
    life.book.accepted += [
        AcceptedLabel(row.get("prediction_id") or row["entity_id"], row["label"], row["event_time"])
        for place, row in enumerate(rows)
        if place not in refused
    ]


def _tell(
    life: Life, task: Task, operation: Operation, what: str, incoming: str, rows: list[dict[str, str]]
) -> Mapping[str, Any] | None:
    """Send ``rows`` to ``POST /<what>``, again until they are answered, or as a file below ``incoming``.

    Returns the answer; None for a file, and where nothing was accepted.
    """
    if operation.args["way"] == "file":
        key = f"{incoming}{operation.number}.jsonl"
        life.bucket.put(key, "".join(json.dumps(row) + "\n" for row in rows).encode())
        life.files.append(key)
        return None
    for _ in range(_PATIENCE):
        answered = life.request(task, f"/{what}", json.dumps(rows).encode())
        if answered is not None:
            status, answer, _ = answered
            life.book.count(f"{what}: {status}")
            if status == 200:
                accepted: Mapping[str, Any] = answer
                return accepted
            if status in (400, 413, 422):
                return None
        task.pause(30.0)
    return None


def _label(life: Life, operation: Operation, identity: str, customer: str, leaves: bool) -> dict[str, str]:
    spoilt, event = operation.args["spoilt"], life.at(operation.args["event"])
    if spoilt == "future":
        event = life.clock() + timedelta(days=3)
    elif spoilt == "before":
        event -= timedelta(days=4)
    label = "yes" if leaves != (spoilt == "turned") else "no"
    if spoilt == "words" and leaves:
        label = "perhaps"
    if spoilt == "unknown":
        identity, customer = f"nobody-{identity}", f"nobody-{customer}"
    about = {"prediction_id": identity} if operation.args["by"] == "prediction" else {"entity_id": customer}
    return {**about, "label": label, "event_time": iso(event)}


def _actions(life: Life, task: Task, operation: Operation) -> None:
    rows = [
        _action(life, operation, identity, customer)
        for identity, customer, _ in life.predicted.get(operation.args["about"], [])
    ]
    if not rows:
        return
    answer = _tell(life, task, operation, "actions", INCOMING_ACTIONS_PREFIX, rows)
    if answer is not None:
        refused = {violation["row"] for violation in answer["violations"]}
        life.book.acted |= {
            (row.get("prediction_id") or row["entity_id"], row["time"])
            for place, row in enumerate(rows)
            if place not in refused
        }


def _action(life: Life, operation: Operation, identity: str, customer: str) -> dict[str, str]:
    spoilt = operation.args["spoilt"]
    when = life.clock() + timedelta(days=3) if spoilt == "future" else life.at(operation.args["done"])
    if spoilt == "unknown":
        identity, customer = f"nobody-{identity}", f"nobody-{customer}"
    about = {"prediction_id": identity} if operation.args["by"] == "prediction" else {"entity_id": customer}
    return {**about, "action": "" if spoilt == "nameless" else "call", "time": iso(when)}


def _revoke(life: Life, task: Task, operation: Operation) -> None:
    """Labels were wrong, and are taken back: those of one prediction, or all that came with it."""
    predictions = life.predicted.get(operation.args["about"], [])
    raw = life.bucket.peek(CONTRACT_KEY)
    if not predictions or raw is None:
        return
    identity = predictions[0][0]
    which = Which(prediction=identity)
    if operation.args["which"] == "batch":
        batch = next(
            (key for key, labels in _batches(life) if any(identity == label.prediction_id for label in labels)), None
        )
        if batch is None:
            return
        which = Which(batch=batch)
    began, meant, store = life.clock(), set[AcceptedLabel](), _store(life, task)
    for _ in range(_ATTEMPTS):
        for key, labels in _batches(life):
            if which.prediction or key == which.batch:
                meant |= {
                    AcceptedLabel(label.prediction_id or label.entity_id, label.label, label.event_time)
                    for label in labels
                    if which.batch or label.prediction_id == identity
                }
        try:
            revoke(store, read_contract(json.loads(raw)), which, because="told by mistake")
            break
        except (Crashed, StillgoodError):
            task.pause(HOUR)
    else:
        return
    life.book.revoked.append((began, frozenset(meant)))
    life.book.count("revoked", len(meant))


def _batches(life: Life) -> Iterator[tuple[str, tuple[Label, ...]]]:
    """The label ledger as it is: keys and labels, without what cannot be read."""
    for key in life.keys(LEDGER_PREFIX):
        with suppress(StillgoodError):
            yield key, read_batch(life.bucket, key).labels


def _compact(life: Life, task: Task, operation: Operation) -> None:
    life.send(Letter(f"{operation.number}.compact", "monitor", {"action": COMPACT}, 1), life.clock())


def _answer(life: Life, task: Task, operation: Operation) -> None:
    """A person answers the case that waits, if one does, or the one that did a while ago."""
    try:
        registry = Registry(life.bucket)
        open_cases = [decision.n for decision in registry.decisions() if decision.action == "ask"]
    except StillgoodError:
        return
    if open_cases:
        _ask(life, operation, "promote", action=operation.args["verb"], case=open_cases[-1])


def _settings(life: Life, task: Task, operation: Operation) -> None:
    raw = life.bucket.peek(CONTRACT_KEY)
    if raw is None:
        return
    settings = json.loads(raw)
    settings["floors"] = {**settings["floors"], "recall": operation.args["recall"]}
    try:
        digest = write_settings(_store(life, task), read_contract(settings))
    except (Crashed, StillgoodError):
        return
    _ask(life, operation, "promote", action="settings", contract=digest)


def _mode(life: Life, task: Task, operation: Operation) -> None:
    _ask(life, operation, "promote", action="mode", mode=operation.args["mode"])


def _monitor(life: Life, task: Task, operation: Operation) -> None:
    event = {"scheduled_time": iso(life.at(operation.args["end"]))}
    life.send(Letter(f"{operation.number}.monitor", "monitor", event, 1), life.clock())


def _event(step: str, action: str | None) -> Callable[[Life, Task, Operation], None]:
    def send(life: Life, task: Task, operation: Operation) -> None:
        asks: dict[str, Any] = {"action": action} if action else {}
        versions = sorted({key.split("/")[1] for key in life.keys(MODELS_PREFIX) if key.endswith(MODEL)})
        if action == "promote":
            if not versions:
                return
            asks["candidate"] = versions[int(operation.args["which"] * len(versions))]
        if action == "rollback":
            to = operation.args["to"]
            asks["to"] = None if to is None or not versions else versions[int(to * len(versions))]
        _ask(life, operation, step, **asks)

    return send


def _ask(life: Life, operation: Operation, step: str, **asks: Any) -> None:
    """Send a person's event. Asked again, it is the same event: who sends it remembers what was asked."""
    event = {"request_id": operation.args["request"], "reason": "a person asks", **asks}
    event = life.events.setdefault(event["request_id"], event)
    life.send(Letter(f"{operation.number}.{operation.kind}", step, event, 1), life.clock())


def _upload(life: Life, task: Task, operation: Operation) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["customer", "at", "first", "second", "left"])
    spread = 10 * DAY if operation.args["day"] == 0 else DAY / 2
    lines = operation.args["lines"]
    for place, (customer, first, second, left) in enumerate(lines):
        age = spread * (1 - place / len(lines))
        table.writerow(
            [customer, iso(life.at(operation.args["day"] * DAY - age).replace(microsecond=0)), first, second, left]
        )
    day = life.at(operation.args["day"] * DAY)
    life.bucket.put(f"{DATA_PREFIX}{day:%Y-%m-%d}/u{operation.number}.csv", text.getvalue().encode())


def _contract(life: Life, task: Task, operation: Operation) -> None:
    life.bucket.put(CONTRACT_KEY, encode(contract(operation.args["version"])))


def _forget(life: Life, task: Task, operation: Operation) -> None:
    """Twice, as docs/operations.md says: what a process held or a step had read meanwhile is written within a day."""
    customer = operation.args["customer"]
    began = life.clock()
    life.book.forgetting.add(customer)
    store = _store(life, task)
    for _ in range(2):
        for _ in range(_ATTEMPTS):
            try:
                forget(store, customer, life.clock)
                break
            except (Crashed, StillgoodError):
                task.pause(HOUR)
        else:
            return
        task.pause(DAY)
    life.book.forgotten[customer] = began
    life.book.first_forgotten.setdefault(customer, began)
    life.book.count("forgotten")


def _damage(life: Life, task: Task, operation: Operation) -> None:
    """Somebody overwrites or deletes an object, notices hours later, and restores its last version."""
    what = operation.args["what"]
    pointer = _pointer(life)
    if pointer is None:
        return
    days = sorted(key for key in life.keys(OUTCOMES_PREFIX) if key != outcomes_key("progress"))
    key = {
        "pointer": POINTER_KEY,
        "model": artifact_key(pointer, MODEL),
        "state": STATE_KEY,
        "progress": outcomes_key("progress"),
        "day": days[-1] if days else STATE_KEY,
    }[what]
    if life.bucket.peek(key) in (None, _JUNK):
        return
    if what in ("progress", "day"):  # can be made again
        life.bucket.delete(key)
        return
    life.bucket.put(key, _JUNK)
    good = life.bucket.versions[key][-1]

    def restore(_: Task) -> None:
        if life.bucket.peek(key) == _JUNK:
            life.bucket.put(key, good)

    life.scheduler.start(
        f"{operation.number}.restore/1", life.clock() + SECOND * HOUR * (1 + 5 * operation.args["hours"]), restore
    )


def _pointer(life: Life) -> str | None:
    try:
        pointer = Registry(life.bucket).pointer()
    except StillgoodError:
        return None
    return None if pointer is None else pointer.version


def _batch(life: Life, task: Task, operation: Operation) -> None:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, ["customer", "first", "second"])
    table.writeheader()
    table.writerows(operation.args["rows"])
    key = f"{BATCH_PREFIX}input/{operation.number}.csv"
    life.bucket.put(key, text.getvalue().encode())
    life.send(Letter(f"{operation.number}.batch", "batch", {"input": key}, 1), life.clock())


def _audit(life: Life, task: Task, operation: Operation) -> None:
    try:
        if life.bucket.peek(POINTER_KEY) == _JUNK or _pointer(life) is None:
            return
        problems = verify(_store(life, task))
        if problems and life.bucket.peek(POINTER_KEY) != _JUNK:
            life.book.fail(
                "log verifies", "; ".join(f"{problem.kind} {problem.key}: {problem.detail}" for problem in problems)
            )
        head = max(life.book.requests.values(), default=0)
        for replayed in replay(_store(life, task), [n for n in (head - 1, head) if n > 0]):
            if (
                not replayed.same
                and not replayed.forgotten
                and "Slow" not in replayed.detail
                and "lost" not in replayed.detail
            ):
                life.book.count(f"replay differs: {replayed.detail[:60]}")
    except (Crashed, StillgoodError) as error:
        life.book.count(f"audit: {type(error).__name__}")


def _mend(life: Life, task: Task, operation: Operation) -> None:
    """A person mends refused rows and takes them in again."""
    try:
        refused = next(
            (entry for entry in listing(_store(life, task)) if entry.key.startswith(REFUSED_ROWS_PREFIX)), None
        )
        raw = life.bucket.peek(CONTRACT_KEY)
        if refused is None or raw is None:
            return
        text = export(_store(life, task), refused.key)
        for wrong in ("wide", "1000000000.0"):
            text = text.replace(wrong, "0.5")
        reingest(_store(life, task), text.encode(), read_contract(json.loads(raw)), life.clock().date())
        life.book.count("mended")
    except (InvalidRows, MalformedRequest):
        life.book.count("mended in part, refused")
    except (Crashed, StillgoodError) as error:
        life.book.count(f"mend: {type(error).__name__}")


def _pages(life: Life, task: Task, operation: Operation) -> None:
    windows = sorted(life.book.judged)
    if not windows:
        return
    try:
        write_window(_store(life, task), Window.from_id(windows[-1]).id)
        life.book.count("pages")
    except (Crashed, StillgoodError) as error:
        life.book.count(f"pages: {type(error).__name__}")


def _kill(life: Life, task: Task, operation: Operation) -> None:
    idle = [instance for instance in life.instances if not instance.busy]
    if idle:
        life.kill(idle[int(operation.args["which"] * len(idle))])


def _old_code(life: Life, task: Task, operation: Operation) -> None:
    """The version before writes monitor's state once more: without what it did not know, under its own name."""
    data = life.bucket.peek(STATE_KEY)
    if data in (None, _JUNK):
        return
    raw = json.loads(data or b"{}")
    for name in ("standing", "point"):
        raw.pop(name, None)
    raw["format"] = "lifecycle.monitor-state"
    life.bucket.put(STATE_KEY, encode(raw))


def _unreadable(life: Life, task: Task, operation: Operation) -> None:
    now = life.clock()
    key = {
        "capture": capture_key(now, "junk"),
        "labels": f"{LEDGER_PREFIX}{now:%Y-%m-%d}/junk.jsonl",
        "data": f"{DATA_PREFIX}{now:%Y-%m-%d}/junk.csv",
        "incoming": f"{INCOMING_PREFIX}junk{operation.number}.jsonl",
    }[operation.args["where"]]
    life.bucket.put(key, _JUNK)


def _store(life: Life, task: Task) -> WeatheredStore:
    return WeatheredStore(life.bucket, task, life.weather, life.clock)


KINDS: dict[str, Callable[[Life, Task, Operation], None]] = {
    "predict": _predict,
    "labels": _labels,
    "monitor": _monitor,
    "train": _event("train", None),
    "recalibrate": _event("train", "recalibrate"),
    "promote": _event("promote", "promote"),
    "rollback": _event("promote", "rollback"),
    "release": _event("promote", "release"),
    "upload": _upload,
    "contract": _contract,
    "forget": _forget,
    "damage": _damage,
    "batch": _batch,
    "audit": _audit,
    "mend": _mend,
    "pages": _pages,
    "kill": _kill,
    "old code": _old_code,
    "actions": _actions,
    "revoke": _revoke,
    "compact": _compact,
    "answer": _answer,
    "settings": _settings,
    "mode": _mode,
    "unreadable": _unreadable,
}

"""Reads the whole decision log and says what does not fit: a deleted, edited or inserted record, or a pointer that no
decision explains.

Each record carries the hash of the one before; each request's index entry, written after the record, carries the hash
of the record. So a change shows twice, also at the end of the log, where no later record vouches. Nobody who may
rewrite the whole bucket can be found out this way: keep its versions (or an object lock) for that.
"""

from dataclasses import dataclass
from typing import Literal

from stillgood.domain.errors import DocumentUnusable, ObjectNotFound
from stillgood.domain.promotion.decision import Decision
from stillgood.storage.codec import decode_any, sha256
from stillgood.storage.keys import (
    DECISIONS_PREFIX,
    FORGOTTEN_PREFIX,
    POINTER_KEY,
    REQUESTS_PREFIX,
    decision_key,
    decision_number,
    request_key,
)
from stillgood.storage.objects import ObjectStore
from stillgood.storage.records import (
    CommittedPointer,
    IndexEntry,
    puts_in_force,
    read_decision,
    read_index,
    read_pointer,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the registry that its own rules cannot have produced."""

    kind: Literal["deleted", "edited", "inserted", "index", "pointer", "input"]
    key: str
    detail: str


def verify(store: ObjectStore) -> tuple[Problem, ...]:
    """Every problem of the log, the index and the pointer, oldest record first; empty when all is well.

    A newest record that is not indexed or in force yet is no problem: a writer is between two of its writes, or crashed
    there, and the next one finishes the job. Reads every record and index entry; again if the log grew meanwhile.
    """
    for _ in range(5):
        problems, newest = _verify_once(store)
        if not problems or newest == max(_numbers(store), default=0):
            break
    return tuple(problems)


def _verify_once(store: ObjectStore) -> tuple[list[Problem], int]:
    """The problems, and the number of the newest record. Reads the records first, the pointer last: the order they are
    written in.
    """
    problems: list[Problem] = []
    records = {n: store.get(decision_key(n)).data for n in _numbers(store)}
    indexed = _read_index(store, problems)
    last = max([*records, *indexed], default=0)
    before: str | None = None  # sha256 the next record must name
    champion: CommittedPointer | None = None
    settled: CommittedPointer | None = None  # the champion before the newest record
    known = True  # whether ``champion`` is; not after a record that is gone or wrong
    requests: dict[str, int] = {}
    for n in range(1, last + 1):
        settled = champion
        key, entry = decision_key(n), indexed.get(n)
        if n not in records:
            problems.append(
                Problem(
                    "deleted",
                    key,
                    f"{request_key(entry.request_id)} says that it was there." if entry else "The numbers have a gap.",
                )
            )
            # An entry of the index still holds its hash, by which its successor is judged.
            before, known = entry.sha256 if entry else "", False
            continue
        digest = sha256(records[n])
        damage = _judge(n, records[n], entry, before, n == last)
        decision = _parsed(records[n], key)
        if decision is not None:
            if not damage and known:
                damage = _judge_champion(decision, champion)
            if decision.request_id in requests:
                problems.append(
                    Problem(
                        "inserted",
                        key,
                        f"Its request was decided by {decision_key(requests[decision.request_id])} before.",
                    )
                )
            requests.setdefault(decision.request_id, n)
            champion = puts_in_force(decision, records[n]) or champion
        known = not damage and (known or (decision is not None and decision.pointer_after is not None))
        problems += damage
        before = entry.sha256 if entry else digest
    if known:
        problems += _judge_pointer(store, champion, champion if last in indexed else settled)
    return problems, max(records, default=0)


def _numbers(store: ObjectStore) -> list[int]:
    return [n for info in store.list(DECISIONS_PREFIX) if (n := decision_number(info.key)) is not None]


def check_inputs(store: ObjectStore, decision: Decision) -> tuple[Problem, ...]:
    """Whether every object that a decision was made from is still there, byte for byte: then it can be replayed."""
    problems = []
    forgotten = replaced_by_forgetting(store)
    for name, source in decision.inputs.items():
        if not isinstance(source, dict) or "key" not in source or "sha256" not in source:
            continue  # a figure, not an object
        try:
            actual = sha256(store.get(source["key"]).data)
        except ObjectNotFound:
            problems.append(Problem("input", source["key"], f"{name} of {decision_key(decision.n)} is gone."))
            continue
        if actual != source["sha256"] and (source["key"], source["sha256"], actual) not in forgotten:
            problems.append(Problem("input", source["key"], f"{name} of {decision_key(decision.n)} has changed since."))
    return tuple(problems)


def replaced_by_forgetting(store: ObjectStore) -> set[tuple[str, str, str]]:
    """(key, sha256 before, sha256 after) of every object that lost rows of a forgotten entity, also over several
    forgettings.
    """
    steps: dict[tuple[str, str], set[str]] = {}
    for info in store.list(FORGOTTEN_PREFIX):
        for change in decode_any(store.get(info.key).data, what=info.key).get("replaced", ()):
            steps.setdefault((change["key"], change["before"]), set()).add(change["after"])
    chains = {(key, before, after) for (key, before), those in steps.items() for after in those}
    while True:
        longer = {
            (key, before, last)
            for key, before, after in chains
            for last in steps.get((key, after), ())
            if (key, before, last) not in chains
        }
        if not longer:
            return chains
        chains |= longer


def _read_index(store: ObjectStore, problems: list[Problem]) -> dict[int, IndexEntry]:
    indexed: dict[int, IndexEntry] = {}
    for info in store.list(REQUESTS_PREFIX):
        try:
            entry = read_index(store.get(info.key).data, info.key)
        except DocumentUnusable as error:
            problems.append(Problem("index", info.key, error.detail))
            continue
        if request_key(entry.request_id) != info.key:
            problems.append(Problem("index", info.key, "It is the entry of another request."))
        elif (twin := indexed.get(entry.decision)) is not None:
            problems.append(
                Problem("index", info.key, f"{request_key(twin.request_id)} names {decision_key(entry.decision)} too.")
            )
        else:
            indexed[entry.decision] = entry
    return indexed


def _judge(n: int, data: bytes, entry: IndexEntry | None, before: str | None, newest: bool) -> list[Problem]:
    """What is wrong with record ``n`` itself, one problem at most: the plainest."""
    key, decision = decision_key(n), _parsed(data, decision_key(n))
    if entry is not None and entry.sha256 != sha256(data):
        return [Problem("edited", key, f"{request_key(entry.request_id)} was written for other bytes.")]
    if decision is None:
        return [Problem("edited", key, "It cannot be read.")]
    if decision.n != n or decision.prev_sha256 != before:
        kind: Literal["edited", "inserted"] = "edited" if entry else "inserted"
        return [Problem(kind, key, "It does not continue the record before it.")]
    if entry is None and not newest:
        return [Problem("inserted", key, "No request's index names it, and yet the log went on.")]
    if entry is not None and entry.request_id != decision.request_id:
        return [Problem("index", request_key(entry.request_id), f"It names {key}, which is of another request.")]
    return []


def _judge_champion(decision: Decision, champion: CommittedPointer | None) -> list[Problem]:
    """Whether a record builds on ``champion``, which the records before it put in force."""
    key, after = decision_key(decision.n), decision.pointer_after
    mark = None if champion is None else champion.mark
    if decision.pointer_before != mark:
        return [Problem("edited", key, "It was decided on another champion than the one in force.")]
    if after is not None and (after.decision != decision.n or after.generation != (mark.generation if mark else 0) + 1):
        return [Problem("edited", key, "The champion it puts in force does not count on from the one before.")]
    return []


def _judge_pointer(
    store: ObjectStore, champion: CommittedPointer | None, settled: CommittedPointer | None
) -> list[Problem]:
    """The pointer must be what the log says: ``champion``, or still ``settled`` while the newest record is not in
    force.
    """
    try:
        stored = store.get(POINTER_KEY)
    except ObjectNotFound:
        stored = None
    if stored is None:
        return (
            []
            if settled is None
            else [Problem("pointer", POINTER_KEY, "It is missing; the next promotion or rollback restores it.")]
        )
    if any(committed is not None and stored.data == committed.data for committed in (champion, settled)):
        return []
    try:
        detail = f"It names {read_pointer(stored).version}, which the log does not explain."
    except DocumentUnusable as error:
        detail = error.detail
    return [Problem("pointer", POINTER_KEY, detail)]


def _parsed(data: bytes, key: str) -> Decision | None:
    try:
        return read_decision(data, key)
    except DocumentUnusable:
        return None

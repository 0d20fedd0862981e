"""replay: decide a recorded decision again, from the inputs it names, and compare the record byte for byte.

The real step runs, over a registry that ends where the log ended then; every other object is read where it lies. What
is written stays in memory. A difference means that an input or the record was changed, or that this code decides
otherwise.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stillgood.domain.errors import ObjectNotFound, StillgoodError
from stillgood.domain.formats import FORMER_RULES, in_current_words
from stillgood.domain.promotion.decision import Decision
from stillgood.domain.promotion.orders_after import ASKED_BECAUSE
from stillgood.steps.promote.actions import ACTIONS
from stillgood.steps.promote.agreement import TOLERANCE, agrees
from stillgood.steps.promote.promote import PromoteDeps
from stillgood.storage.audit import check_inputs, replaced_by_forgetting
from stillgood.storage.codec import decode_any, encode
from stillgood.storage.keys import DECISIONS_PREFIX, POINTER_KEY, REGISTRY_PREFIX, decision_key, request_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectInfo, ObjectStore, Stored
from stillgood.storage.records import read_decision
from stillgood.storage.registry import Registry
from stillgood.storage.windows import utc


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of decision ``n``: ``same`` bytes or not, and ``detail``, why not.

    ``forgotten``: its holdout lost rows of a forgotten entity since, so it cannot come out the same, and nothing is
    wrong.
    """

    n: int
    same: bool
    detail: str
    forgotten: bool = False


class _Past(MemoryObjectStore):
    """The registry in memory, as it was; all else as it lies in ``present``, which is never written to."""

    def __init__(self, present: ObjectStore) -> None:
        super().__init__()
        self._present = present

    def get(self, key: str) -> Stored:
        return super().get(key) if key.startswith(REGISTRY_PREFIX) else self._present.get(key)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        return (
            super().list(prefix, start_after)
            if prefix.startswith(REGISTRY_PREFIX)
            else self._present.list(prefix, start_after)
        )


def replay(store: ObjectStore, wanted: Iterable[int] | None = None) -> Iterator[Replayed]:
    """Decide the records ``wanted`` again (None: all), oldest first. Reads the log up to the last of them.

    A record that cannot be replayed is a ``Replayed`` that says why; one that is gone is the last, since what followed
    was decided on it. Raises ObjectNotFound where it lies before those ``wanted``.
    """
    numbers = None if wanted is None else sorted(set(wanted))
    last = max((info.key for info in store.list(DECISIONS_PREFIX)), default="") if numbers is None else ""
    past = _Past(store)
    n = 0
    while decision_key(n + 1) <= last if numbers is None else n < max(numbers, default=0):
        n += 1
        try:
            record = store.get(decision_key(n)).data
        except ObjectNotFound:
            if numbers is not None:
                raise
            yield Replayed(n, False, "is gone, and nothing after it can be replayed")
            return
        if numbers is None or n in numbers:
            yield _again(store, past, n, record)
        _move_on(past, n, record)


def _again(store: ObjectStore, past: _Past, n: int, record: bytes) -> Replayed:
    try:
        decision = read_decision(record, decision_key(n))
        _decide(decision, past)
        made = past.get(decision_key(n)).data
        if decision.orders is None:  # from before a record told them
            made = encode({name: value for name, value in decode_any(made).items() if name != "orders"})
    except (StillgoodError, KeyError, TypeError, ValueError, AttributeError) as error:
        said = error.detail if isinstance(error, StillgoodError) else f"{type(error).__name__}: {error}"
        return Replayed(n, False, f"cannot be replayed: {said}")
    if made == record or made == encode(in_current_words(decode_any(record))):
        return Replayed(n, True, "the same bytes")
    if agrees(in_current_words(decode_any(record)), decode_any(made)):
        return Replayed(
            n, True, f"the same decision, its figures to {TOLERANCE:g} (another processor rounds otherwise)"
        )
    changed = [problem.detail for problem in check_inputs(store, decision)]
    if not changed and _has_lost_rows(store, decision):
        return Replayed(n, False, "rows that it was decided on were forgotten since", forgotten=True)
    again = read_decision(made, decision_key(n)).to_dict()
    parts = [name for name, value in decision.to_dict().items() if again.get(name) != value]
    return Replayed(
        n, False, f"differs in {', '.join(parts) or 'layout'}" + "".join(f"; {change}" for change in changed)
    )


def _has_lost_rows(store: ObjectStore, decision: Decision) -> bool:
    replaced = {(key, before) for key, before, _ in replaced_by_forgetting(store)}
    return any(
        (entry.get("key"), entry.get("sha256")) in replaced
        for entry in decision.inputs.values()
        if isinstance(entry, dict)
    )


def _decide(decision: Decision, past: _Past) -> None:
    """Ask what was asked then, at the time it was asked."""
    request = decision.figures["asked"]
    gate = str(decision.figures.get("gate", "guarded"))
    action = ACTIONS.get(str(request["action"]))
    if action is None:
        raise ValueError(f"nobody can ask for {request['action']!r}")
    deps = PromoteDeps(
        past,
        lambda: utc(decision.at),
        FORMER_RULES.get(gate, gate),
        at_point="champion" not in decision.inputs or "champion_point" in decision.inputs,
        mode=str(decision.figures.get("mode", "automatic")),
        approvals=decision.orders is not None,
    )
    version = request.get("version")
    event = {**request, "request_id": decision.request_id, "candidate": version, "to": version}
    if decision.reasons:
        event["reason"] = decision.reasons[-1].removeprefix(ASKED_BECAUSE)
    if "by" in decision.figures:
        event["by"] = decision.figures["by"]
    action(event, deps)


def _move_on(past: _Past, n: int, record: bytes) -> None:
    """Put the stored record in the place of the one just made: the next decision was made on it, right or wrong."""
    made = {info.key for info in past.list(DECISIONS_PREFIX)}
    if decision_key(n) not in made or past.get(decision_key(n)).data != record:
        for key in (POINTER_KEY, *(_request(past, n) if decision_key(n) in made else ())):
            past.delete(key)
        past.put(decision_key(n), record)


def _request(past: _Past, n: int) -> tuple[str]:
    return (request_key(Registry(past).decision(n).request_id),)

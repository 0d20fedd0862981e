"""Who is champion, and why: a write-ahead log of decisions, and the pointer as its materialised view.

``registry/decisions/<n>.json`` is created first; taking slot *n* is the one moment at which a decision happens. The
record carries the whole new pointer, so whoever comes next can put it in force: every writer *settles* before it
decides. See docs/decisions/0001.

    while True:
        head = registry.recover()                       # finish what a crashed writer began
        if done := registry.find(request_id):          # a duplicate event gets the first answer
            return done
        draft = ...                                    # decide against head.pointer
        try:
            return registry.record(head, draft)
        except PreconditionFailed:                     # somebody took the slot: decide again, on the new champion
            continue

``Registry.decide`` is that loop.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from stillgood.domain.errors import (
    DocumentUnusable,
    ObjectExists,
    ObjectNotFound,
    PreconditionFailed,
    StoreUnavailable,
)
from stillgood.domain.promotion.decision import Decision, Pointer, PointerMark, Proposal, decided
from stillgood.domain.promotion.orders import Orders
from stillgood.domain.promotion.orders_after import orders_after
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import DECISIONS_PREFIX, POINTER_KEY, decision_key, decision_number, request_key
from stillgood.storage.objects import ObjectStore, Stored
from stillgood.storage.records import (
    CommittedPointer,
    IndexEntry,
    encode_index,
    puts_in_force,
    read_decision,
    read_index,
    read_pointer,
)

# Each lost round means that another writer got on, so this bounds contention, not progress.
_ROUNDS = 100
_LOOK_BACK = 400  # records of a log from before there were orders that are read for them


@dataclass(frozen=True, slots=True)
class LogHead:
    """The end of a settled log: the number and sha256 of the newest record (0 and None before the first), and the
    pointer in force.
    """

    n: int
    sha256: str | None
    pointer: Pointer | None
    mark: PointerMark | None
    orders: Orders | None = None  # None where the newest record is from before there were orders

    @property
    def serving(self) -> str | None:
        """The version in force, None before the first promotion."""
        return self.pointer.version if self.pointer else None


class Registry:
    """The decision log and the champion pointer in ``store``."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def pointer(self) -> Pointer | None:
        """The pointer in force, None before the first promotion. One GET, nothing settled. Raises DocumentUnusable."""
        stored = self._pointer_object()
        return None if stored is None else read_pointer(stored)

    def decision(self, n: int) -> Decision:
        """Record ``n``. Raises ObjectNotFound, DocumentUnusable."""
        return read_decision(self._store.get(decision_key(n)).data, decision_key(n))

    def decisions(self, start_after: int = 0) -> Iterator[Decision]:
        """The records after number ``start_after``, oldest first."""
        for n in self._numbers(start_after):
            yield self.decision(n)

    def find(self, request_id: str) -> Decision | None:
        """What was decided for a request, in two GETs; None if nothing was. Complete right after ``recover``."""
        try:
            entry = read_index(self._store.get(request_key(request_id)).data, request_key(request_id))
            return self.decision(entry.decision)
        except ObjectNotFound:
            return None

    def recover(self) -> LogHead:
        """Put the newest decision in force if a crash left it half-way, index its request, and return the head to
        decide on.

        Idempotent. Raises DocumentUnusable when the log itself is damaged; serving is not touched then.
        """
        for _ in range(_ROUNDS):
            # The pointer is read before the log: whatever was put in force meanwhile, the swap below notices.
            stored = self._pointer_object()
            seen = self._readable(stored)
            n = max(self._numbers(seen.decision - 1 if seen else 0), default=0)
            if n == 0:
                if stored is not None:
                    raise DocumentUnusable(
                        f"{POINTER_KEY} exists, but the decision log that put it in force is gone; restore"
                        f" {DECISIONS_PREFIX}, then run the audit."
                    )
                return LogHead(0, None, None, None)
            record = self._store.get(decision_key(n)).data
            head = read_decision(record, decision_key(n))
            wanted = puts_in_force(head, record) or self._before(head, seen, stored)
            if (stored and stored.data) != (wanted and wanted.data) and not self._put_in_force(wanted, stored, head):
                continue
            self._index(head.request_id, n, record)
            pointer, mark = (wanted.pointer, wanted.mark) if wanted else (None, None)
            return LogHead(n, sha256(record), pointer, mark, head.orders)
        raise StoreUnavailable(f"Other writers changed the registry {_ROUNDS} times in a row; try again later.")

    def record(self, head: LogHead, draft: Proposal) -> Decision:
        """Take the slot after ``head`` for ``draft`` and put it in force. Raises PreconditionFailed when the slot is
        taken.

        Any other error leaves it open whether the slot was taken: recover, then ask ``find``.
        """
        decision = decided(draft, n=head.n + 1, prev_sha256=head.sha256, champion=head.pointer, before=head.mark)
        decision = replace(decision, orders=orders_after(self.orders(head), decision))
        data = encode(decision.to_dict())
        try:
            self._store.create(decision_key(decision.n), data)
        except ObjectExists as error:
            raise PreconditionFailed(
                f"Decision {decision.n} was taken by another writer; decide again on the new champion."
            ) from error
        self.recover()
        return read_decision(data, decision_key(decision.n))

    def decide(self, request_id: str, decide: Callable[[LogHead], Proposal]) -> tuple[Decision, bool]:
        """One decision for one request, however often it arrives and however many decide at once.

        ``decide`` is called with the settled head, again whenever another writer was faster. Returns the decision and
        whether it is new; False means that a duplicate found the first answer.
        """
        for _ in range(_ROUNDS):
            head = self.recover()
            if (before := self.find(request_id)) is not None:
                return before, False
            draft = decide(head)
            if draft.request_id != request_id:
                raise ValueError("the draft is for another request")
            try:
                return self.record(head, draft), True
            except PreconditionFailed:
                continue
        raise StoreUnavailable(
            f"Other writers took the next number of the decision log {_ROUNDS} times in a row; try again later."
        )

    def orders(self, head: LogHead) -> Orders:
        """The orders in force at ``head``; of a log from before there were any, as its records imply them."""
        if head.n == 0 or head.orders is not None:
            return head.orders or Orders()
        return self._implied(head.n)

    def orders_now(self) -> Orders:
        """The orders in force, by one LIST from the pointer's record on and one GET; nothing is settled."""
        seen = self._readable(self._pointer_object())
        n = max(self._numbers(seen.decision - 1 if seen else 0), default=0)
        orders = Orders() if n == 0 else self.decision(n).orders
        return self._implied(n) if orders is None else orders

    def _implied(self, n: int) -> Orders:
        """The orders after record ``n``, where it is from before records told them."""
        orders = Orders()
        for decision in self.decisions(start_after=max(0, n - _LOOK_BACK)):
            orders = orders_after(orders, decision) if decision.orders is None else decision.orders
        return orders

    def _pointer_object(self) -> Stored | None:
        try:
            return self._store.get(POINTER_KEY)
        except ObjectNotFound:
            return None

    def _readable(self, stored: Stored | None) -> Pointer | None:
        """The pointer, or None when it is missing or damaged: then the whole log is read instead of its end."""
        try:
            return None if stored is None else read_pointer(stored)
        except DocumentUnusable:
            return None

    def _numbers(self, start_after: int = 0) -> Iterator[int]:
        after = decision_key(start_after) if start_after > 0 else ""
        for info in self._store.list(DECISIONS_PREFIX, after):
            if (n := decision_number(info.key)) is not None:
                yield n

    def _before(self, head: Decision, seen: Pointer | None, stored: Stored | None) -> CommittedPointer | None:
        """What the log says was in force under the refusal ``head``; looked up in the log only if the pointer is not
        it.
        """
        if head.pointer_before is None:
            return None
        if seen is not None and stored is not None and sha256(stored.data) == head.pointer_before.sha256:
            return CommittedPointer(seen, stored.data)
        for n in range(head.n - 1, 0, -1):
            record = self._store.get(decision_key(n)).data
            if (committed := puts_in_force(read_decision(record, decision_key(n)), record)) is not None:
                if committed.mark != head.pointer_before:
                    break
                return committed
        raise DocumentUnusable(
            f"The log does not hold generation {head.pointer_before.generation}, on which {decision_key(head.n)}"
            " builds; run the audit."
        )

    def _put_in_force(self, wanted: CommittedPointer | None, stored: Stored | None, head: Decision) -> bool:
        """Write the pointer over exactly what was read. False when another writer was there first."""
        if wanted is None:
            raise DocumentUnusable(
                f"{POINTER_KEY} exists, but no decision up to {decision_key(head.n)} put it there; run the audit."
            )
        self._check_link(head)
        try:
            if stored is None:
                self._store.create(POINTER_KEY, wanted.data)
            else:
                self._store.swap(POINTER_KEY, wanted.data, stored.etag)
        except (ObjectExists, PreconditionFailed):
            return False
        return True

    def _check_link(self, head: Decision) -> None:
        """Before a record takes effect it must continue the chain: an inserted one must not name a champion."""
        try:
            before = sha256(self._store.get(decision_key(head.n - 1)).data) if head.n > 1 else None
        except ObjectNotFound:
            before = None
        if head.prev_sha256 != before:
            raise DocumentUnusable(
                f"{decision_key(head.n)} does not continue the log; it is not put in force. Run the audit."
            )

    def _index(self, request_id: str, n: int, record: bytes) -> None:
        with contextlib.suppress(ObjectExists):
            self._store.create(request_key(request_id), encode_index(IndexEntry(request_id, n, sha256(record))))

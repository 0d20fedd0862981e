"""The rehearsed state becomes the start of a real bucket: champion, reference, decision log, captures, labels,
monitor's state.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stillgood.simulation.driver import Driver
from stillgood.simulation.rehearsal.history import Chronicle
from stillgood.simulation.rehearsal.plan import HistoryInvalid
from stillgood.steps.promote.promote import PromoteDeps
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.keys import POINTER_KEY
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry


@dataclass(frozen=True, slots=True)
class Adopted:
    """``objects`` were written; ``champion`` serves from now on; ``decisions`` of the log were rehearsed; the next
    window to judge ends
    after ``until`` (ISO 8601)."""

    objects: int
    champion: str
    decisions: int
    until: str


def adopt(
    past: Chronicle, store: ObjectStore, source: str, *, progress: Callable[[int, int], None] | None = None
) -> Adopted:
    """Play guarded over ``past`` once more and copy what it left into ``store``, which must be empty. ``source`` names
    the history.

    The log gets one more record at its end, a refused rollback whose reason says that all before it was rehearsed; it
    is replayed and audited like any other. The pointer is copied last, so that an interrupted copy never serves: the
    same call goes on. Raises HistoryInvalid when the store holds something else, or when the gate refuses the first
    model.
    """
    driver = Driver(past.world, "guarded")
    driver.begin()
    if driver.first[0].result != "promoted":
        reasons = " ".join(driver.first[0].reasons)
        raise HistoryInvalid(f"There is nothing to adopt: the gate refuses the first model. {reasons}")
    spans = past.world.spans
    for at in range(len(spans)):
        driver.step(at)
        if progress is not None:
            progress(at + 1, len(spans))
    registry = Registry(driver.store)
    pointer = registry.pointer()
    assert pointer is not None
    decisions = registry.recover().n
    roll_back(
        {
            "action": "rollback",
            "request_id": f"rehearsed: {source}"[:512],
            "to": pointer.version,
            "reason": f"Decisions 1 to {decisions} were rehearsed on {source}; none of their predictions was served.",
        },
        PromoteDeps(driver.store, driver.clock),
    )
    _copy(driver.store, store)
    return Adopted(sum(1 for _ in store.list("")), pointer.version, decisions, spans[-1].id.partition("_")[2])


def _copy(source: ObjectStore, target: ObjectStore) -> None:
    keys = [info.key for info in source.list("")]
    known = set(keys)
    for info in target.list(""):
        if info.key not in known or target.get(info.key).data != source.get(info.key).data:
            raise HistoryInvalid(
                f"The store holds {info.key}, which is not of this rehearsal; adopt into an empty one."
            )
    for key in sorted(keys, key=lambda key: (key == POINTER_KEY, key)):
        target.put(key, source.get(key).data)

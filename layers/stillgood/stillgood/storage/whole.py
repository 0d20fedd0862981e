"""Is a bucket whole? It must hold all that the pointer and the log name. A copy that was broken off is refused, with
the keys that it lacks.
"""

from stillgood.domain.promotion.decision import Pointer
from stillgood.storage.keys import DECISIONS_PREFIX, MODEL, POINTER_KEY, artifact_key, decision_number
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry


def lacks(store: ObjectStore, pointer: Pointer | None) -> tuple[str, ...]:
    """A sentence for each missing object: its key, and the command that brings it back. Raises StoreUnavailable."""
    numbers = [n for info in store.list(DECISIONS_PREFIX) if (n := decision_number(info.key)) is not None]
    missing = [
        f"{DECISIONS_PREFIX}{n:08d}.json is missing from the log: the bucket was copied in part, or it was deleted;"
        " `stillgood restore` or `stillgood move` brings it back"
        for n in sorted(set(range(1, max([*numbers, pointer.decision if pointer else 0], default=0) + 1)) - {*numbers})
    ]
    if pointer is None:
        return (*missing, lost_pointer(max(numbers))) if numbers and _served(store) else tuple(missing)
    wanted = {
        pointer.model_key: "which serves",
        pointer.reference_key: "which monitoring compares with",
    }
    if pointer.previous is not None:
        wanted[artifact_key(pointer.previous.version, MODEL)] = "which a rollback goes back to"
    missing += [
        f"{key}, {why}, is missing; `stillgood restore {key}` or `stillgood move` from a whole copy brings it back"
        for key, why in wanted.items()
        if not any(info.key == key for info in store.list(key))
    ]
    return tuple(missing)


def lost_pointer(newest: int) -> str:
    """What to say where the log has decisions and no pointer: ``newest`` is the number of the last one."""
    return (
        f"{POINTER_KEY} is missing, though the log has {newest} decisions: nobody is served; `stillgood audit --mend`"
        " writes it anew from the log"
    )


def _served(store: ObjectStore) -> bool:
    """Whether any decision put something in force."""
    return any(decision.pointer_after is not None for decision in Registry(store).decisions())

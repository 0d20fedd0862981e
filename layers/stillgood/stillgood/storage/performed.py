"""Reported actions: ``labels/actions/dt=<date of arrival>/<sha256>.jsonl``, append-only, beside the labels and under
their rights. A batch's key is its content, so the same batch again on the same day is the same object.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from stillgood.domain.actions.performed import Performed
from stillgood.domain.errors import ObjectExists
from stillgood.storage.codec import encode
from stillgood.storage.keys import ACTIONS_PREFIX
from stillgood.storage.objects import ObjectStore


def append_performed(store: ObjectStore, actions: Iterable[Performed], *, arrived: datetime) -> bool:
    """Keep a batch. False when that very batch was kept on that day before. Raises StoreUnavailable."""
    distinct = sorted(set(actions))
    if not distinct:
        return False
    data = b"".join(encode(action.to_dict()) for action in distinct)
    try:
        store.create(f"{ACTIONS_PREFIX}{arrived:%Y-%m-%d}/{hashlib.sha256(data).hexdigest()}.jsonl", data)
    except ObjectExists:
        return False
    return True


def performed(store: ObjectStore) -> Iterator[Performed]:
    """Every reported action, in no order of time; one that was sent twice comes twice. Lines that cannot be read are
    skipped: they were damaged by hand. Raises StoreUnavailable.
    """
    for info in store.list(ACTIONS_PREFIX):
        for line in store.get(info.key).data.splitlines():
            try:
                raw = json.loads(line)
                texts = {name: str(raw.get(name, "")) for name in ("time", "prediction_id", "entity_id", "action")}
                "".join(texts.values()).encode()
                action = Performed(**texts, cost=float(raw.get("cost", 0.0)))
            except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
                continue
            yield action

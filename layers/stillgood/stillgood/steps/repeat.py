"""A request with an Idempotency-Key that comes again gets the first answer, and is captured once.

Semantics of the IETF's draft "The Idempotency-Key HTTP Header Field": the same key with the same body gives the same
answer for a day, with another body it is refused. Keys of different callers are different. The answer is kept,
create-only, before it is captured, so of two requests at the same moment one is captured and both get its answer.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stillgood.domain.errors import KeyReused, MalformedRequest, ObjectExists, ObjectNotFound
from stillgood.storage.codec import encode
from stillgood.storage.keys import idempotency_key
from stillgood.storage.objects import ObjectStore

FORMAT = "stillgood.answer"
LONGEST_KEY = 255
KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Repeat:
    """One request that may come again: the ``caller``'s ``key`` and the hash of what was asked."""

    store: ObjectStore
    caller: str
    key: str
    request_sha256: str

    @classmethod
    def of(cls, store: ObjectStore, caller: str | None, key: str, body: bytes, query: str) -> "Repeat":
        """Raises MalformedRequest for a key that is too long or not printable ASCII."""
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise MalformedRequest(f"An Idempotency-Key is 1 to {LONGEST_KEY} printable ASCII characters.")
        digest = hashlib.sha256(query.encode(errors="surrogatepass") + b"\n" + body).hexdigest()
        return cls(store, caller or "", key, digest)

    def answered(self, now: datetime) -> Any | None:
        """The body that was answered within the last day, None where none was. Raises KeyReused, StoreUnavailable."""
        for day in (now.date(), (now - KEPT).date()):
            try:
                lines = self.store.get(idempotency_key(day, self.caller, self.key)).data.splitlines()
            except ObjectNotFound:
                continue
            stored = _read(lines)
            if stored is None or datetime.fromisoformat(stored[0]["at"]) <= now - KEPT:
                continue
            head, answers = stored
            if head["asked"] != self.request_sha256:
                raise KeyReused(
                    "This Idempotency-Key came with another body or query within the last day; give each request a key"
                    " of its own."
                )
            return answers[0] if head["single"] else {"predictions": answers}
        return None

    def keep(self, answers: list[dict[str, Any]], *, single: bool, now: datetime) -> Any | None:
        """Keep what is about to be answered. The body of somebody who was faster, None where nobody was."""
        head = {
            "format": FORMAT,
            "format_version": 1,
            "at": now.isoformat(),
            "asked": self.request_sha256,
            "single": single,
            "rows": len(answers),
        }
        try:
            self.store.create(
                idempotency_key(now.date(), self.caller, self.key), b"".join(encode(line) for line in [head, *answers])
            )
        except ObjectExists:
            return self.answered(now)
        return None


def _read(lines: list[bytes]) -> tuple[Mapping[str, Any], list[dict[str, Any]]] | None:
    """What was asked and answered; None where rows of it were forgotten since, or somebody wrote over it."""
    try:
        head, *answers = [json.loads(line) for line in lines]
        whole = head["format"] == FORMAT and head["rows"] == len(answers) and isinstance(head["at"], str)
        return (head, answers) if whole else None
    except (ValueError, KeyError, TypeError):
        return None

"""Bounded retries with jitter, for both S3 adapters; the SDKs' own are off, because only here it is known that a try
may have been applied.

A conditional write that timed out may have happened. Its retry then meets its own result and is refused; so after an
unsure try a refusal is checked by reading back: if the object holds our bytes, the write was ours.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from stillgood.domain.errors import ObjectExists, PreconditionFailed, StoreUnavailable


class TransientError(Exception):
    """One try failed in a way that may pass. ``unsure``: it may have been applied all the same."""

    def __init__(self, detail: str, *, unsure: bool) -> None:
        super().__init__(detail)
        self.unsure = unsure


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most ``max_attempts`` tries; between them a random pause up to ``base_delay_seconds``, doubled each time; none
    starts after ``budget_seconds``.
    """

    max_attempts: int = 5
    base_delay_seconds: float = 0.1
    budget_seconds: float = 15.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def run[T](self, call: Callable[[], T], confirm: Callable[[], T | None] | None = None) -> T:
        """``call()``, again after each TransientError. ``confirm`` reads back what an unsure write may have done.

        Raises StoreUnavailable when tries or time run out, and what ``call`` raises otherwise.
        """
        start = self.monotonic()
        unsure = False
        for tried in range(1, self.max_attempts + 1):
            try:
                return call()
            except TransientError as failure:
                unsure = unsure or failure.unsure
                pause = self.jitter() * self.base_delay_seconds * 2 ** (tried - 1)
                if tried == self.max_attempts or self.monotonic() - start + pause > self.budget_seconds:
                    raise StoreUnavailable(f"{failure} (tried {tried} times)") from failure
            except (ObjectExists, PreconditionFailed):
                if unsure and confirm is not None and (ours := self.run(confirm)) is not None:
                    return ours
                raise
            self.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

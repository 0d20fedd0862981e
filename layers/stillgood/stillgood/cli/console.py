"""What verbs share at the terminal: their answer, exit codes, tables, progress."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stillgood.domain.errors import StillgoodError
from stillgood.domain.policy.wording import ACT as ACT
from stillgood.domain.policy.wording import LOOK as LOOK
from stillgood.domain.policy.wording import WELL as WELL

AGAIN = 3  # beside WELL, LOOK and ACT
EXIT_CODES = """exit codes
  0  well: done, nothing to see to
  1  look: done, and something was found: rows that break the contract, a refused candidate, drift, a damaged log
  2  act: nothing was done, because the call is wrong or something is missing; `status`: a person has to act
  3  again: the store, the disk or a port does not answer now; the same call may work later"""


class WrongCall(StillgoodError):
    """The command was called in a way that cannot work; the message says how it can."""

    slug, title = "wrong-call", "The command cannot be run like this"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb found: ``text`` for people, ``data`` (JSON-able) for programs, ``status`` for scripts."""

    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    status: int = WELL


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Say on stderr that long work began, and how long it took, in seconds."""
    began = time.monotonic()
    if sys.stderr.isatty():
        print(f"  {what} ...", end="", file=sys.stderr, flush=True)
    yield
    took = f"{time.monotonic() - began:.1f} s"
    print(f"\r  {what} ... {took}" if sys.stderr.isatty() else f"  {what} ... {took}", file=sys.stderr)


class Counter:
    """Says on stderr how far ``what`` is, at most twice a second, on a terminal only."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what, self._total, self._began, self._said = what, total, time.monotonic(), 0.0

    def at(self, done: int) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._said < 0.5:
            return
        self._said = now
        left = ""
        if self._total and done:
            left = f" of {self._total:,}, {(now - self._began) * (self._total - done) / done:.0f} s left"
        print(f"\r  {self._what}: {done:,}{left}   ", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._said:
            print(file=sys.stderr)


def table(rows: Sequence[Sequence[object]], *, head: Sequence[str] = (), indent: int = 2) -> list[str]:
    """Rows as aligned columns; a column of numbers is aligned on the right.

    >>> table([["tenure", -0.5], ["contract", 12]], head=["feature", "adds"])
    ['  feature   adds', '  tenure    -0.5', '  contract    12']
    """
    if not rows:
        return []
    texts = [[*map(str, head)]] if head else []
    texts += [[*map(str, row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    numeric = [all(isinstance(value, int | float) for value in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in texts:
        cells = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return lines


def paragraph(text: str, *, indent: int = 2, width: int = 100, first: str = "") -> list[str]:
    """``text`` in lines of at most ``width`` characters; ``first`` stands before the first line."""
    import textwrap

    start = " " * indent + first
    return textwrap.wrap(text, width, initial_indent=start, subsequent_indent=" " * len(start)) or [start.rstrip()]


def estimate(value: Any, digits: int = 3) -> str:
    """An estimate with its 95% interval; "-" where there is none.

    >>> estimate({"value": 0.8451, "low": 0.83, "high": 0.86})
    '0.845 (0.830 to 0.860)'
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("value"), int | float):
        return "-"
    low, high = value.get("low"), value.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return f"{value['value']:.{digits}f}"
    return f"{value['value']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def shown(value: object) -> str:
    """A feature's value as a person reads it.

    >>> shown(12.0), shown(0.123456789), shown(None), shown("Two year")
    ('12', '0.123457', '(missing)', 'Two year')
    """
    if value is None:
        return "(missing)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)

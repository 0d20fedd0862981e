"""How the story is printed: numbered steps with their times, facts, and reasons wrapped under them."""

import textwrap
import time
from collections.abc import Iterable

WIDTH = 118


class Screen:
    """Prints as it goes, so that progress is seen; ``step`` closes the one before with its wall time in seconds."""

    def __init__(self) -> None:
        self._number = 0
        self._began = self._step_began = time.monotonic()

    def step(self, title: str) -> None:
        self._close()
        self._number += 1
        print(f"\n{self._number}. {title}", flush=True)

    def say(self, text: str) -> None:
        """A fact, wrapped."""
        for line in textwrap.wrap(text, WIDTH - 3):
            print(f"   {line}", flush=True)

    def because(self, reasons: Iterable[str], limit: int = 6) -> None:
        """Reasons, one a line, the first ``limit``."""
        reasons = list(reasons)
        for reason in reasons[:limit]:
            first, *rest = textwrap.wrap(reason, WIDTH - 7) or [""]
            print(f"     - {first}", *(f"       {line}" for line in rest), sep="\n", flush=True)
        if len(reasons) > limit:
            print(f"     - and {len(reasons) - limit} more", flush=True)

    def raw(self, text: str) -> None:
        """Text that keeps its line breaks."""
        print(textwrap.indent(text, "   "), flush=True)

    def end(self) -> float:
        """Close the last step; returns the seconds since the beginning."""
        self._close()
        return time.monotonic() - self._began

    def _close(self) -> None:
        now = time.monotonic()
        if self._number:
            print(f"   ({now - self._step_began:.1f} s)", flush=True)
        self._step_began = now

"""A slow correction of the aim by matured labels, so that the long-run figure is the objective whatever the shift.

Adaptive conformal inference (Gibbs and Candes 2021): after each block of matured rows,

    offset <- clip(offset + gain * (objective - realised), -BOUND, BOUND),      aim = objective + offset

**Bound.** As long as the clip does not act, the mean of (objective - realised) over k blocks is (offset_k - offset_0) /
(gain k), so its size is at most 2 BOUND / (gain k), whatever the population does. **Stability.** If a block's figure
answers an offset with its own size and ``delay`` blocks late, the error obeys e[t + 1] = e[t] - gain * e[t - delay],
which dies out if and only if gain < 2 sin(pi / (4 delay + 2)), and without oscillating if gain <= delay^delay / (delay
+ 1)^(delay + 1) (Levin and May 1976). The gain stays under half of the second.
"""

import math
from dataclasses import dataclass

BLOCK_ROWS = 500
MAX_GAIN = 0.02
BOUND = 0.1


@dataclass(frozen=True, slots=True)
class Correction:
    """``offset``: what is added to the objective, -BOUND to BOUND. ``blocks``: of matured rows that it has seen."""

    offset: float = 0.0
    blocks: int = 0

    @property
    def at_bound(self) -> bool:
        return abs(self.offset) >= BOUND

    def after(self, objective: float, realised: float, delay_rows: int) -> "Correction":
        """After one more block, whose figure was ``realised``; ``delay_rows``: predictions made since the block's last
        row.

        >>> Correction().after(0.8, 0.7, delay_rows=0)
        Correction(offset=0.0020000000000000018, blocks=1)
        """
        offset = self.offset + gain(delay_rows) * (objective - realised)
        return Correction(min(BOUND, max(-BOUND, offset)), self.blocks + 1)


def gain(delay_rows: int) -> float:
    """The share of a block's error that is corrected at once: MAX_GAIN, less where labels come late.

    >>> gain(0), round(gain(50 * BLOCK_ROWS), 4)
    (0.02, 0.0036)
    """
    return min(MAX_GAIN, monotone_limit(math.ceil(delay_rows / BLOCK_ROWS)) / 2)


def stable_limit(delay: int) -> float:
    """The gain from which on e[t + 1] = e[t] - gain e[t - delay] no longer dies out.

    >>> stable_limit(0), round(stable_limit(1), 12)
    (2.0, 1.0)
    """
    return 2.0 * math.sin(math.pi / (4 * delay + 2))


def monotone_limit(delay: int) -> float:
    """The largest gain with which it dies out without oscillating.

    >>> monotone_limit(0), monotone_limit(1)
    (1.0, 0.25)
    """
    return math.exp(delay * math.log(delay) - (delay + 1) * math.log(delay + 1)) if delay else 1.0

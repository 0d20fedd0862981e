"""How sure the gate has to be at the next attempt: a champion's tenure has one budget of false promotions, however
often it is asked.
"""

TENURE = 0.10  # chance that a champion is ever replaced by an equal model, over all attempts of its tenure
FIRST = 0.05
FORMER_FIRST = 0.03  # of the gate's second version, of its first two attempts each
FAILED = 0.20  # where the champion has demonstrably failed, an equal model in its place does no harm


def alpha_of(attempts: int, gate_version: int = 3) -> float:
    """The significance level after ``attempts`` earlier ones on the same champion: .05, .025, .0083, .0042, ...

    .05 / (k (k - 1)) for the k-th, so that all of them sum to ``TENURE``; by Bonferroni that bounds the tenure's error
    whatever the attempts have in common. The second version of the gate had .03, .03, .02, .0067, ...

    >>> [round(alpha_of(earlier), 4) for earlier in range(6)]
    [0.05, 0.025, 0.0083, 0.0042, 0.0025, 0.0017]
    >>> [round(alpha_of(earlier, 2), 4) for earlier in range(6)]
    [0.03, 0.03, 0.02, 0.0067, 0.0033, 0.002]
    >>> all(sum(alpha_of(earlier, version) for earlier in range(100_000)) <= TENURE for version in (2, 3))
    True
    """
    if attempts < 0:
        raise ValueError(f"attempts cannot be negative, got {attempts}")
    if gate_version == 2:
        return FORMER_FIRST if attempts < 2 else (TENURE - 2 * FORMER_FIRST) / (attempts * (attempts - 1))
    return FIRST if attempts < 1 else (TENURE - FIRST) / (attempts * (attempts + 1))

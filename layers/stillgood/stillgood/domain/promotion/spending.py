"""How sure the gate has to be at the next attempt: a champion's tenure has one budget of false promotions, however
often it is asked.
"""

TENURE = 0.10  # chance that a champion is ever replaced by an equal model, over all attempts of its tenure
FIRST = 0.04
FIRST_OF_3 = 0.05  # of the gate's third version
FIRST_OF_2 = 0.03  # of its second version, of the first two attempts each
FAILED = 0.20  # where the champion has demonstrably failed, an equal model in its place does no harm


def alpha_of(attempts: int, gate_version: int = 4) -> float:
    """The significance level after ``attempts`` earlier ones on the same champion: .04, .03, .01, .005, ...

    .04, then .06 / (k (k - 1)) for the k-th, so that all of them sum to ``TENURE``; by Bonferroni that bounds the
    tenure's error whatever the attempts have in common. The third version of the gate had .05, .025, .0083, ..., the
    second .03, .03, .02, .0067, ...

    >>> [round(alpha_of(earlier), 4) for earlier in range(6)]
    [0.04, 0.03, 0.01, 0.005, 0.003, 0.002]
    >>> [round(alpha_of(earlier, 3), 4) for earlier in range(6)]
    [0.05, 0.025, 0.0083, 0.0042, 0.0025, 0.0017]
    >>> [round(alpha_of(earlier, 2), 4) for earlier in range(6)]
    [0.03, 0.03, 0.02, 0.0067, 0.0033, 0.002]
    >>> all(sum(alpha_of(earlier, version) for earlier in range(100_000)) <= TENURE for version in (2, 3, 4))
    True
    """
    if attempts < 0:
        raise ValueError(f"attempts cannot be negative, got {attempts}")
    if gate_version == 2:
        return FIRST_OF_2 if attempts < 2 else (TENURE - 2 * FIRST_OF_2) / (attempts * (attempts - 1))
    first = FIRST_OF_3 if gate_version == 3 else FIRST
    return first if attempts < 1 else (TENURE - first) / (attempts * (attempts + 1))

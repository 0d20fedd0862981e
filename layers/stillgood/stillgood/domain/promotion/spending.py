"""How sure the gate has to be at the next attempt: a champion's tenure has one budget of false promotions, however
often it is asked.
"""

TENURE = 0.10  # chance that a champion is ever replaced by an equal model, over all attempts of its tenure
FIRST = 0.03
FAILED = 0.20  # where the champion has demonstrably failed, an equal model in its place does no harm


def alpha_of(attempts: int) -> float:
    """The significance level after ``attempts`` earlier ones on the same champion: .03, .03, .02, .0067, ...: from the
    third
    on .04 / ((k - 1) (k - 2)), so that all of them sum to ``TENURE``; by Bonferroni that bounds the tenure's error
    whatever the attempts have in common.

    >>> [round(alpha_of(earlier), 4) for earlier in range(6)]
    [0.03, 0.03, 0.02, 0.0067, 0.0033, 0.002]
    >>> sum(alpha_of(earlier) for earlier in range(100_000)) <= TENURE
    True
    """
    if attempts < 0:
        raise ValueError(f"attempts cannot be negative, got {attempts}")
    return FIRST if attempts < 2 else (TENURE - 2 * FIRST) / (attempts * (attempts - 1))

"""The tail of the chi-squared distribution, which ``scipy.special.chdtrc`` also gives, for an import of 0.2 s."""

import math

_LARGEST = 700.0  # exp of more overflows


def sf(degrees: int, x: float) -> float:
    """P(X >= x) for X chi-squared with ``degrees`` >= 1 degrees of freedom, x >= 0.

    With whole degrees the upper incomplete gamma function is a finite sum: over j < degrees / 2 of h^j e^-h / j! for
    even degrees and h = x / 2; for odd ones erfc(sqrt h) and the same with half-integers. Agrees with
    ``scipy.stats.chi2.sf`` to 1e-12. Source: Abramowitz & Stegun (1964), 26.4.4 and 26.4.5.

    >>> sf(2, 0.0), round(sf(1, 3.841458820694124), 12), round(sf(4, 9.487729036781154), 12)
    (1.0, 0.05, 0.05)
    """
    h = x / 2
    if h == 0.0:
        return 1.0
    if h == math.inf:
        return 0.0
    first, tail = (0.0, 0.0) if degrees % 2 == 0 else (0.5, math.erfc(math.sqrt(h)))
    powers = [first + j for j in range(degrees // 2)]
    if h > _LARGEST:
        logarithms = (power * math.log(h) - h - math.lgamma(power + 1) for power in powers)
        return min(tail + math.fsum(map(math.exp, logarithms)), 1.0)
    term, terms = math.exp(-h) * h**first / math.gamma(first + 1), []
    for power in powers:
        terms.append(term)
        term *= h / (power + 1)
    return min(tail + math.fsum(terms), 1.0)

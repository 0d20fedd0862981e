"""Evidence that may be looked at in every window: its errors do not add up over the looks.

An estimate of one unknown difference that is made anew whenever rows arrive, from all rows so far, has the canonical
joint distribution: with information I = 1 / variance, the score S = estimate * I is a Brownian motion with the
difference as its drift, at time I (Jennison & Turnbull 2000, chapter 3). It also holds for the difference to a *fixed*
estimate that has an error of its own, such as a promise: Cov(d_s, d_t) = Var(d_t) for s before t still, so I stays
below 1 / that error's variance.

The mixture of exp(m S - m^2 I / 2) over drifts m is then a non-negative martingale that starts at 1 when there is no
difference, and by Ville's inequality it ever reaches 1 / alpha with a chance of at most alpha.
Source: Howard, Ramdas, McAuliffe & Sekhon (2021), "Time-uniform, Nonparametric, Nonasymptotic Confidence Sequences",
Annals of Statistics 49(2), sections 3.2 (normal mixture) and 5.
"""

import math

from stillgood.domain.statistics.intervals import normal_sf

_LARGEST = 700.0  # exp of more overflows


def e_value(difference: float, variance: float, scale: float) -> float:
    """Evidence against "no difference": sqrt(r / (r + I)) exp(S^2 / (2 (r + I))) with r = 1 / ``scale``^2.

    ``scale`` is the size of a difference that is worth finding, in its unit; it has to be fixed before any row is seen.
    ``variance`` > 0 is the estimate's, its promise's own included. 1 says nothing, 1 / alpha is proof at level alpha.

    >>> round(e_value(0.0, 0.01, 0.1), 4), round(e_value(0.3, 0.01, 0.1), 4)
    (0.7071, 6.7088)
    """
    information, r = 1.0 / variance, 1.0 / scale**2
    score = difference * information
    return math.sqrt(r / (r + information)) * math.exp(min(score**2 / (2 * (r + information)), _LARGEST))


def one_sided_e_value(difference: float, variance: float, scale: float) -> float:
    """Evidence against "the difference is 0 or less": the mixture over positive drifts only, 2 Phi(S / sqrt(r + I))
    times the
    two-sided value, a supermartingale under every drift of 0 or less.

    >>> round(one_sided_e_value(0.3, 0.01, 0.1), 3), round(one_sided_e_value(-0.3, 0.01, 0.1), 3)
    (13.19, 0.227)
    """
    information, r = 1.0 / variance, 1.0 / scale**2
    z = difference * information / math.sqrt(r + information)
    return 2.0 * normal_sf(-z) * e_value(difference, variance, scale)


def always_valid_p(e: float) -> float:
    """min(1, 1 / e): its chance of *ever* falling below alpha is at most alpha when there is no difference.

    >>> always_valid_p(200.0), always_valid_p(0.3)
    (0.005, 1.0)
    """
    return min(1.0, 1.0 / e) if e > 0 else 1.0


def confidence_sequence(difference: float, variance: float, scale: float, alpha: float) -> tuple[float, float]:
    """The differences that ``e_value`` does not refute at ``alpha``: an interval that holds the truth in *all* looks at
    once
    with a chance of at least 1 - alpha.

    >>> low, high = confidence_sequence(0.3, 0.01, 0.1, 0.05)
    >>> round(low, 3), round(high, 3)
    (-0.066, 0.666)
    """
    information, r = 1.0 / variance, 1.0 / scale**2
    reach = math.sqrt((r + information) * math.log((r + information) / (r * alpha**2))) / information
    return difference - reach, difference + reach

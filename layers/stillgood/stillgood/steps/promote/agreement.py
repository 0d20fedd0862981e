"""Whether two records say the same on machines whose processors round the last digit of ``exp`` and ``log``
differently.

Decisions, versions, hashes and counts must be equal. Figures may differ by TOLERANCE; figures in a sentence by one unit
of their last printed digit. A forged digit is found by the log's hashes, however small it is (``storage/audit.py``).
"""

import math
import re
from collections.abc import Mapping

TOLERANCE = 1e-9  # relative, and absolute near 0; AVX2 and AVX-512 differ by some 1e-15
_NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")


def agrees(one: object, other: object) -> bool:
    """True if two JSON values are equal but for the rounding of figures.

    >>> agrees({"auc": 0.8257603380233356}, {"auc": 0.8257603380233351}), agrees({"auc": 0.82576}, {"auc": 0.82577})
    (True, False)
    >>> agrees("ROC-AUC 0.8258", "ROC-AUC 0.8257"), agrees("ROC-AUC 0.8258", "ROC-AUC 0.8268"), agrees("v1", "v2")
    (True, False, False)
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(agrees(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agrees, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _sentences_agree(one, other)
    return type(one) is type(other) and one == other


def _sentences_agree(one: str, other: str) -> bool:
    """Only sentences have decimals that may be rounded; a name, a hash or a time has none."""
    if " " not in one or _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    return all(map(_printed_alike, _NUMBER.findall(one), _NUMBER.findall(other)))


def _printed_alike(one: str, other: str) -> bool:
    if one == other:
        return True
    digits = one.partition("e")[0].partition(".")[2]
    if not digits:
        return False  # whole numbers are counts
    a, b = float(one.replace(",", "")), float(other.replace(",", ""))
    exponent = int(one.partition("e")[2] or 0)
    return abs(a - b) <= 1.5 * 10.0 ** (exponent - len(digits))

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


def agrees(first: object, second: object) -> bool:
    """True if two JSON values are equal but for the rounding of figures.

    >>> agrees({"auc": 0.8257603380233356}, {"auc": 0.8257603380233351}), agrees({"auc": 0.82576}, {"auc": 0.82577})
    (True, False)
    >>> agrees("ROC-AUC 0.8258", "ROC-AUC 0.8257"), agrees("ROC-AUC 0.8258", "ROC-AUC 0.8268"), agrees("v1", "v2")
    (True, False, False)
    """
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(agrees(value, second[name]) for name, value in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(agrees, first, second))
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(first, str) and isinstance(second, str):
        return first == second or _sentences_agree(first, second)
    return type(first) is type(second) and first == second


def _sentences_agree(first: str, second: str) -> bool:
    """Only sentences have decimals that may be rounded; a name, a hash or a time has none."""
    if " " not in first or _NUMBER.sub("#", first) != _NUMBER.sub("#", second):
        return False
    return all(map(_printed_alike, _NUMBER.findall(first), _NUMBER.findall(second)))


def _printed_alike(first: str, second: str) -> bool:
    if first == second:
        return True
    digits = first.partition("e")[0].partition(".")[2]
    if not digits:
        return False  # whole numbers are counts
    a, b = float(first.replace(",", "")), float(second.replace(",", ""))
    exponent = int(first.partition("e")[2] or 0)
    return abs(a - b) <= 1.5 * 10.0 ** (exponent - len(digits))

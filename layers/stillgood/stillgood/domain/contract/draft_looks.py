"""What a column of texts looks like: whether it names rows, counts them, holds codes, or tells the outcome alone."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Source
from stillgood.domain.contract.dialect import ISO, as_number, date_format
from stillgood.domain.contract.times import read_time

MAX_LEVELS = 200
MAX_CODES = 12  # an integer of at most so many values may be a code
SAMPLED = 400  # different texts of a column by which its numbers and dates are recognised
_MAX_DIGITS = 300  # more are infinite as a number
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # days are compared, in whatever zone
ID_NAME = re.compile(
    r"(^|[_\s.-])(id|key|nr|no|num|number|code|uuid|guid|konto|account|index|idx|row|row[_\s.-]?names?)$|id$",
    re.IGNORECASE,
)

type Floats = npt.NDArray[np.float64]
type Bools = npt.NDArray[np.bool_]


def is_unique(texts: Sequence[str]) -> bool:
    """Whether every row has another value, and none is blank."""
    return len(texts) > 1 and "" not in texts and len(set(texts)) == len(texts)


def counts_rows(texts: Sequence[str]) -> bool:
    """Whether the column numbers the rows: 0, 1, 2, ... or 1, 2, 3, ...

    >>> counts_rows(["1", "2", "3"]), counts_rows(["1", "2", "4"])
    (True, False)
    """
    if len(texts) < 3 or not all(text.isascii() and text.isdigit() for text in texts[:3]):
        return False
    first = int(texts[0]) if len(texts[0]) < 18 else -1
    return first in (0, 1) and all(text == str(first + place) for place, text in enumerate(texts))


def names_rows(column: str, texts: Sequence[str], source: Source) -> bool:
    """Whether a column of different values names its rows: texts, codes with leading zeros, or integers called an
    id.
    """
    if not is_unique(texts) or counts_rows(texts):
        return False
    sample = texts[:SAMPLED]
    if date_format(sample) is not None:
        return False
    if all(as_number(text, source) is not None for text in sample):
        whole = all(text.isascii() and text.isdigit() for text in texts)
        codes = whole and (padded_text(texts) is not None or rounded_text(texts) is not None)
        return whole and len(texts) >= 20 and (codes or ID_NAME.search(column) is not None)
    return True


def are_codes(values: Mapping[str, int], distinct: Sequence[float], rows: int) -> bool:
    """Few integers, each in many of ``rows``, that are no scale: not evenly spaced, as 1, 2, 3 or 12, 24, 36 are, and
    not small counts.
    """
    if not 2 < len(distinct) <= MAX_CODES or rows < 50 or min(values.values()) < max(5, 0.005 * rows):
        return False
    steps = {after - before for before, after in pairwise(distinct)}
    return len(steps) > 1 and distinct[-1] > MAX_CODES


def padded_text(texts: Iterable[str]) -> str | None:
    """The first of these texts of digits that has leading zeros; None if none has."""
    return min((text for text in texts if text[0] == "0" and len(text) > 1), default=None)


def rounded_text(texts: Iterable[str]) -> str | None:
    """The first of these texts that is a whole number which no double holds; None if none is.

    >>> rounded_text(["9007199254740992", "9007199254740993"]), rounded_text(["12345678901234567.5"])
    ('9007199254740993', None)
    """
    long = (text for text in texts if 16 <= len(text) <= _MAX_DIGITS and text.lstrip("+-").isdecimal())
    return next((text for text in long if int(text) != float(text)), None)


def numbers_of(texts: Sequence[str], source: Source) -> Floats:
    """float64[n] of a column of numbers; NaN where it holds none.

    >>> numbers_of(["1", "", "2.5"], Source(decimal_char=".")).tolist()
    [1.0, nan, 2.5]
    """
    memo = {text: as_number(text, source) for text in set(texts)}
    return np.array([math.nan if (number := memo[text]) is None else number for text in texts])


def days_of(texts: Sequence[str]) -> Floats:
    """float64[n] of a column of dates or times: days since 1970, in whatever zone each is written; NaN where it holds
    none.

    >>> days_of(["01.03.1970", "", "02.01.1970"]).tolist()
    [59.0, nan, 1.0]
    """
    stated = list(dict.fromkeys(text for text in texts if text))
    formats = date_format(stated[:SAMPLED])
    form = formats[0] if formats else ISO
    memo = {text: _day(text, form) for text in stated} | {"": math.nan}
    return np.array([memo[text] for text in texts])


def _day(text: str, form: str) -> float:
    try:
        moment = read_time(text) if form == ISO else datetime.strptime(text, form)  # noqa: DTZ007  # days are compared
    except ValueError:
        return math.nan
    return (moment.replace(tzinfo=None) - _EPOCH) / timedelta(days=1)


def auc_alone(texts: Sequence[str], numbers: Floats | None, positives: Bools) -> float:
    """ROC-AUC of the column alone, in either direction: of its ``numbers`` float64[n], NaN where there is none, of its
    levels (by the rates in the other half of the rows), or of where it is blank. ``numbers`` None: it is a category.
    """
    rows = len(positives)
    if min(positives.sum(), rows - positives.sum()) < 10:
        return 0.5
    best = 0.5
    if numbers is not None:
        there = ~np.isnan(numbers)
        best = max(
            _auc(there.astype(np.float64), positives),
            _auc(numbers[there], positives[there]) if there.mean() > 0.5 else 0.5,
        )
    if numbers is None or len(set(texts)) <= MAX_LEVELS:
        codes = np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)[1]
        half = np.arange(rows) % 2 == 0
        scores = np.empty(rows)
        for own, other in ((half, ~half), (~half, half)):
            of_level = np.bincount(codes[other], positives[other], codes.max() + 1)
            scores[own] = ((of_level + positives.mean()) / (np.bincount(codes[other], minlength=codes.max() + 1) + 1))[
                codes[own]
            ]
        best = max(best, _auc(scores, positives))
    return best


def _auc(scores: Floats, positives: Bools) -> float:
    """ROC-AUC by ranks, ties in the middle; of either direction the greater; .5 where there is one outcome only.

    >>> _auc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    0.875
    """
    up = int(positives.sum())
    down = len(positives) - up
    if not up or not down:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    area = float((ranks[positives].sum() - up * (up + 1) / 2) / (up * down))
    return max(area, 1 - area)

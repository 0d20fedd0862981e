"""A first contract from a table, as a careful colleague would write it: what was seen, what was decided, and how to
decide otherwise.

A person corrects it; the rules are theirs to set. What comes from data leaves head-room, so that the next period's rows
are not refused.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import FORMAT, FORMAT_VERSION, Source
from stillgood.domain.contract.dialect import (
    DOUBTFUL_WORDS,
    ISO,
    MISSING_WORDS,
    NO_WORDS,
    YES_WORDS,
    ambiguous_signs,
    as_number,
    date_format,
    number_share,
    number_signs,
)
from stillgood.domain.contract.fields import SCHEMA_URL
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import FALSE, TRUE
from stillgood.domain.contract.source_text import BELOW_ZERO
from stillgood.domain.errors import ContractInvalid

MAX_LEVELS = 200
MAX_CODES = 12  # an integer of at most so many values may be a code
MIN_NUMERIC = 0.95  # of the rows of a column of numbers; the others are its exceptions
LEAK = 0.99  # ROC-AUC of one column alone, above which it is taken to know the outcome
_HEAD_ROOM = 10.0  # a limit from data: so many times the largest value seen; a change of units still is refused
_MAX_DIGITS = 300  # more are infinite as a number
_SAMPLED = 400  # different texts of a column by which its numbers and dates are recognised
_ID_NAME = re.compile(
    r"(^|[_\s.-])(id|key|nr|no|num|number|code|uuid|guid|konto|account|index|idx|row|row[_\s.-]?names?)$|id$",
    re.IGNORECASE,
)

type Floats = npt.NDArray[np.float64]
type Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DraftNote:
    """``column`` "" is the whole file. ``change``: what to write, or which option to give, for another decision; "" for
    none.
    """

    column: str
    seen: str
    decided: str
    change: str = ""

    def __str__(self) -> str:
        place = f"{self.column}: " if self.column else ""
        return f"{place}{self.seen}; {self.decided}." + (f" {self.change}." if self.change else "")

    def to_dict(self) -> dict[str, str]:
        return {"column": self.column, "seen": self.seen, "decided": self.decided, "change": self.change}


@dataclass(slots=True)
class _Words:
    """What the file's own words mean: collected column by column, for ``source``."""

    missing: dict[str, None]
    true: dict[str, None]
    false: dict[str, None]
    date_formats: Counter[str]


def draft(
    columns: Mapping[str, Sequence[str]],
    *,
    target: str,
    positive: str | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    name: str = "draft",
    keep: Collection[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
) -> tuple[dict[str, Any], list[DraftNote]]:
    """A contract, as JSON data, and what was seen and decided. ``columns`` are texts by name, all of one length, as
    they stand.

    ``positive``: the outcome to predict; None where one of the two values is a word for yes. ``keep``: columns that are
    kept although they give the outcome away. Raises ContractInvalid, which names every column that hinders a draft.
    """
    notes: list[DraftNote] = []
    texts = {column: [text.strip() for text in values] for column, values in columns.items()}
    if not texts or not next(iter(texts.values())):
        raise ContractInvalid("The table has no rows; a draft needs some to look at.")
    for column in filter(None, (target, id_column, time_column, *keep)):
        if column not in texts:
            raise ContractInvalid(f"There is no column {column!r}; the table has {', '.join(texts)}.")
    words = _Words({}, {}, {}, Counter())
    outcome, spelt = _outcome(target, positive, texts[target], words, notes)
    known = np.flatnonzero(outcome >= 0).tolist()
    rows = {column: [values[row] for row in known] for column, values in texts.items()}
    positives = outcome[known] == 1
    source = _number_signs(rows, (target, id_column, time_column), words, notes)
    if time_column is not None:
        _time(time_column, rows[time_column], words, notes)
    drafted = _Drafter(rows, positives, source, words, notes, time_column=time_column, keep=frozenset(keep))
    if id_column is None:
        id_column = drafted.propose_id([column for column in texts if column not in (target, time_column)])
    else:
        drafted.check_id(id_column)
    features = [
        feature
        for column in texts
        if column not in (target, id_column, time_column) and (feature := drafted.feature(column)) is not None
    ]
    if not features:
        raise ContractInvalid(
            "No column is left to predict from. " + " ".join(str(note) for note in notes if note.column)[:1500]
        )
    raw: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        "version": "1",
        "id": id_column,
        "time": time_column,
        "target": {"name": target, "positive": spelt[1], "negative": spelt[0]},
        "features": features,
        "floors": {"roc_auc": 0.7, "recall": 0.8, "precision": 0.0},
        "costs": None,
        "slices": [],
        "training": {"family": "auto"},
        "monitoring": {},
    }
    if stated := _source(source, words, delimiter, encoding, notes):
        raw["source"] = stated
    return {"$schema": SCHEMA_URL, **read_contract(raw).to_dict()}, notes


def _outcome(
    target: str, positive: str | None, texts: Sequence[str], words: _Words, notes: list[DraftNote]
) -> tuple[npt.NDArray[np.int8], tuple[str, str]]:
    """int8[n], -1 where the outcome is unknown; and the two values as the contract spells them, the negative one
    first.
    """
    counts = Counter(texts)
    unknown = {text for text in counts if not text or text.casefold() in MISSING_WORDS | DOUBTFUL_WORDS}
    groups: dict[object, Counter[str]] = {}
    for text, count in counts.items():
        if text not in unknown:
            groups.setdefault(_same(text), Counter())[text] = count
    # A stray value ("Total") is an exception; a third outcome is not.
    rare = [key for key, spellings in groups.items() if spellings.total() <= 0.01 * len(texts)]
    if len(groups) > 2 and len(groups) - len(rare) == 2:
        for key in rare:
            listed = ", ".join(map(repr, groups.pop(key)))
            notes.append(DraftNote(target, f"{listed} is neither of the two outcomes", "such rows are refused"))
    two = list(groups)
    wanted = None if positive is None else _same(positive.strip())
    if wanted is None and len(two) == 2:
        yes = [key for key in two if any(text.lower() in YES_WORDS for text in groups[key])]
        wanted = yes[0] if len(yes) == 1 else None
        if wanted is None:
            raise ContractInvalid(
                f"{target} is {' or '.join(next(iter(groups[key])) for key in two)}; name the one to predict as"
                " positive."
            )
    if len(two) != 2 or wanted not in two:
        seen = ", ".join(repr(next(iter(groups[key]))) for key in two[:10]) or "nothing"
        raise ContractInvalid(
            f"{target} must have two values, one of them {positive!r}; it has {seen}. Name the outcome column and its"
            " positive value."
        )
    if blank := sum(counts[text] for text in unknown):
        listed = ", ".join(repr(text) for text in sorted(unknown))
        notes.append(
            DraftNote(
                target,
                f"{blank} rows have no outcome ({listed})",
                "they are not looked at, and training refuses them by line",
            )
        )
        words.missing.update(dict.fromkeys(text for text in sorted(unknown) if text))
    negative = next(key for key in two if key != wanted)
    yes_text = (
        positive.strip() if positive and positive.strip() in groups[wanted] else groups[wanted].most_common(1)[0][0]
    )
    alike = [
        text
        for text, _ in groups[negative].most_common()
        if (text.istitle(), text.isupper()) == (yes_text.istitle(), yes_text.isupper())
    ]
    spelt = ((alike or [groups[negative].most_common(1)[0][0]])[0], yes_text)
    spellings = [text for key in (negative, wanted) for text in sorted(groups[key])]
    if len(spellings) > 2:
        notes.append(
            DraftNote(
                target,
                f"it is spelt {', '.join(map(repr, spellings))}",
                f"case and form are folded to {spelt[1]!r} and {spelt[0]!r}",
            )
        )
    by_text = {text: int(key == wanted) for key in two for text in groups[key]}
    return np.array([by_text.get(text, -1) for text in texts], dtype=np.int8), spelt


def _same(text: str) -> object:
    """Outcomes that are one: without case, and as numbers."""
    try:
        return float(text)
    except ValueError:
        return text.casefold()


def _number_signs(
    rows: Mapping[str, Sequence[str]], other: Collection[str | None], words: _Words, notes: list[DraftNote]
) -> Source:
    nothing = MISSING_WORDS | DOUBTFUL_WORDS
    sampled = {}
    for column, texts in rows.items():
        if column not in other:
            counts = Counter(text for text in texts if text and text.casefold() not in nothing)
            common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SAMPLED]
            below = [item for item in counts.items() if item[0][0] == "(" or item[0][-1] in ")-"][:_SAMPLED]
            sampled[column] = dict(common) | dict(below)
    source = number_signs(sampled.values())
    decimal, group, bare = source.decimal_char or ".", source.group_char, source.bare_number
    numeric = [column for column, values in sampled.items() if number_share(values, source) >= MIN_NUMERIC]
    if decimal != ".":
        notes.append(
            DraftNote("", "numbers have a decimal comma", f'they are read so (source.decimalChar "{decimal}")')
        )
    if group is not None:
        notes.append(
            DraftNote("", f"numbers are grouped by {group!r}", f'the sign is taken out (source.groupChar "{group}")')
        )
    if (pattern := BELOW_ZERO.get(source.negative_number)) is not None:
        written = {column: text for column in numeric for text in sampled[column] if pattern.fullmatch(text)}
        notes.append(
            DraftNote(
                "",
                f"numbers of {', '.join(written)} stand as {next(iter(written.values()))!r} below zero",
                f'they are read as negative (source.negativeNumber "{source.negative_number}")',
            )
        )
    if not bare:
        signed = sorted(
            {mark for column in numeric for text in sampled[column] for mark in re.sub(r"[\d.,'+()\s-]", "", text)}
        )
        affected = [column for column in numeric if any(re.search(r"[^\d.,'+()\s-]", text) for text in sampled[column])]
        notes.append(
            DraftNote(
                "",
                f"numbers of {', '.join(affected)} have {' '.join(signed[:5])} beside them",
                "it is taken off (source.bareNumber false); 12% is 12",
            )
        )
    for column in numeric:
        percent = sum(count for text, count in sampled[column].items() if "%" in text)
        if 0 < percent < (total := sum(sampled[column].values())):
            notes.append(
                DraftNote(
                    column,
                    f"{percent} of {total} values have % beside them and the others have not",
                    "all are read by their digits, so that 12% and 12 are the same",
                    "If the others are shares, such as .12, write them alike",
                )
            )
        if doubt := ambiguous_signs(sampled[column], source):
            notes.append(
                DraftNote(
                    column,
                    doubt,
                    f"it is read with decimal sign {decimal!r}" + (f" and group sign {group!r}" if group else ""),
                    "If that is wrong, set source.decimalChar and source.groupChar",
                )
            )
        words.missing.update(
            dict.fromkeys(sorted({text for text in rows[column] if text and text.casefold() in nothing}))
        )
    return source


def _time(column: str, texts: Sequence[str], words: _Words, notes: list[DraftNote]) -> None:
    if blank := texts.count(""):
        notes.append(
            DraftNote(
                column,
                f"{blank} of {len(texts)} rows have no time",
                "they are read as of the date in the name of their upload, and counted",
                "Fill them in, or take these rows out",
            )
        )
    stated = [text for text in texts if text and text.casefold() not in MISSING_WORDS]
    different = list(dict.fromkeys(stated))[:_SAMPLED]
    formats = date_format(different) or date_format([_with_marks(text) for text in different])
    if formats is None:
        epoch = stated and all(text.isdigit() and len(text) in (10, 13) for text in stated)
        seen = "seconds or milliseconds since 1970" if epoch else "no times that are known here"
        notes.append(
            DraftNote(
                column,
                f"its values are {seen} (such as {stated[0]!r})" if stated else "it is empty",
                "its rows will be refused",
                "Write ISO 8601 times, or set source.dateFormat",
            )
        )
        return
    if formats[1]:
        notes.append(
            DraftNote(
                column,
                f"day and month cannot be told apart (such as {stated[0]!r})",
                f"it is read as {formats[0]}",
                f"If it is {formats[1]}, set source.dateFormat so",
            )
        )
    if formats[0] != ISO:
        words.date_formats[formats[0]] += 1_000_000  # the rows' own time decides


def _with_marks(text: str) -> str:
    """YYYYMMDD as YYYY-MM-DD."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text.isdigit() and len(text) == 8 else text


def _source(
    source: Source,
    words: _Words,
    delimiter: str | None,
    encoding: str | None,
    notes: list[DraftNote],
) -> dict[str, Any]:
    """The contract's ``source``, with what differs from the standard only."""
    stated: dict[str, Any] = {}
    if delimiter is not None:
        stated["delimiter"] = delimiter
    if encoding is not None:
        stated["encoding"] = encoding
    if source.decimal_char != ".":
        stated["decimalChar"] = source.decimal_char
    if source.group_char is not None:
        stated["groupChar"] = source.group_char
    if not source.bare_number:
        stated["bareNumber"] = False
    if source.negative_number != "minus":
        stated["negativeNumber"] = source.negative_number
    if words.missing:
        stated["missingValues"] = ["", *words.missing]
        notes.append(
            DraftNote(
                "",
                f"{', '.join(map(repr, words.missing))} stands for nothing",
                "it is read as missing (source.missingValues)",
            )
        )
    if words.true or words.false:
        stated["trueValues"], stated["falseValues"] = list(words.true), list(words.false)
    if words.date_formats:
        stated["dateFormat"] = words.date_formats.most_common(1)[0][0]
    return stated


class _Drafter:
    """Drafts the features of one table, whose outcomes are known: ``positives`` bool[n]."""

    def __init__(
        self,
        rows: Mapping[str, Sequence[str]],
        positives: Bools,
        source: Source,
        words: _Words,
        notes: list[DraftNote],
        *,
        time_column: str | None,
        keep: frozenset[str],
    ) -> None:
        self._rows, self._positives, self._source, self._words, self._notes = rows, positives, source, words, notes
        self._time_column, self._keep = time_column, keep
        self._n = len(positives)

    def _note(self, column: str, seen: str, decided: str, change: str = "") -> None:
        self._notes.append(DraftNote(column, seen, decided, change))

    def _is_unique(self, column: str) -> bool:
        texts = self._rows[column]
        return self._n > 1 and "" not in texts and len(set(texts)) == self._n

    def _counts_rows(self, column: str) -> bool:
        """Whether the column numbers the rows: 0, 1, 2, ... or 1, 2, 3, ..."""
        texts = self._rows[column]
        if self._n < 3 or not all(text.isascii() and text.isdigit() for text in texts[:3]):
            return False
        first = int(texts[0]) if len(texts[0]) < 18 else -1
        return first in (0, 1) and all(text == str(first + place) for place, text in enumerate(texts))

    def _names_rows(self, column: str) -> bool:
        """Whether a column of different values names its rows: texts, codes with leading zeros, or integers called an
        id.
        """
        if not self._is_unique(column) or self._counts_rows(column):
            return False
        texts = self._rows[column]
        sample = texts[:_SAMPLED]
        if date_format(sample) is not None:
            return False
        if all(as_number(text, self._source) is not None for text in sample):
            whole = all(text.isascii() and text.isdigit() for text in texts)
            codes = whole and (_padded(texts) is not None or _rounded(texts) is not None)
            return whole and self._n >= 20 and (codes or _ID_NAME.search(column) is not None)
        return True

    def propose_id(self, columns: Sequence[str]) -> str | None:
        """The column that names rows, if there is one: the first that is called so, else the first."""
        unique = [column for column in columns if self._names_rows(column)]
        if not unique:
            return None
        chosen = next((column for column in unique if _ID_NAME.search(column)), unique[0])
        self._note(
            chosen,
            f"every one of {self._n} rows has another value",
            "it is taken as the id, and not learnt from",
            "Name another with --id",
        )
        return chosen

    def check_id(self, column: str) -> None:
        texts = self._rows[column]
        if blank := texts.count(""):
            self._note(column, f"{blank} rows have no id", "they are told apart by their content")
        if self._time_column is None and (again := self._n - len(set(texts))):
            self._note(
                column,
                f"{again} rows have the id of another row",
                "each is a row of its own if its values differ",
                "Name the time of a row with --time",
            )

    def feature(self, column: str) -> dict[str, Any] | None:
        """The column as a feature, None if it is left out."""
        texts = self._rows[column]
        counts = Counter(texts)
        blank = counts.pop("", 0)
        words = {text: count for text, count in counts.items() if text.casefold() in MISSING_WORDS | DOUBTFUL_WORDS}
        values = {text: count for text, count in counts.items() if text not in words}
        if not values:
            self._note(column, "it has no values", "it is left out")
            return None
        if len(values) == 1 and not blank and not words:
            self._note(column, f"it is always {next(iter(values))!r}", "it is left out: a constant says nothing")
            return None
        if self._counts_rows(column):
            self._note(column, "it counts the rows", "it is left out")
            return None
        whole = self._n >= 20 and all(text.isascii() and text.isdigit() for text in texts)
        if whole and self._is_unique(column) and not self._names_rows(column):
            self._note(
                column,
                f"every one of {self._n} rows has another whole number",
                "it is learnt from as a number",
                "If it names rows, such as a customer's number, take it out of the features, or give --id",
            )
        if self._names_rows(column):
            self._note(column, f"every one of {self._n} rows has another value", "it is left out: it names rows")
            return None
        drafted = self._drafted(column, values, words, blank)
        if drafted is None:
            return None
        if (auc := self._auc(column, drafted)) > LEAK:
            seen = f"alone it tells the outcome (ROC-AUC {auc:.3f})"
            if column not in self._keep:
                self._note(
                    column,
                    seen,
                    "it is left out as leakage: it is probably known only afterwards",
                    f"Keep it with --keep {column}",
                )
                return None
            self._note(column, seen, "it is kept, as --keep says")
        return drafted

    def _drafted(
        self, column: str, values: Mapping[str, int], words: Mapping[str, int], blank: int
    ) -> dict[str, Any] | None:
        commonest = dict(sorted(values.items(), key=lambda item: (-item[1], item[0]))[:_SAMPLED])
        feature: dict[str, Any] = {"name": column, "nullable": bool(blank or words)}
        if (boolean := self._boolean(column, values)) is not None:
            self._words.missing.update(dict.fromkeys(sorted(words)))
            return feature | boolean
        if (formats := date_format(list(commonest))) is not None:
            return self._date(column, feature, formats, next(iter(commonest)), words)
        padded = _padded(values) if all(text.isascii() and text.isdigit() for text in values) else None
        rounded = _rounded(values)
        if padded is rounded is None and number_share(values, self._source) >= MIN_NUMERIC and len(values) > 1:
            self._words.missing.update(dict.fromkeys(sorted(words)))
            return self._number(column, feature, values)
        if padded is not None:
            self._note(column, f"its numbers have leading zeros (such as {padded!r})", "they are codes: a category")
        elif rounded is not None:
            self._note(
                column,
                f"its whole numbers have more digits than a number keeps (such as {rounded!r})",
                "they are codes: a category",
                'If they are amounts that may be rounded, set kind "numeric"',
            )
        return self._category(column, feature, values, words, blank)

    def _boolean(self, column: str, values: Mapping[str, int]) -> dict[str, Any] | None:
        lower = {text.lower() for text in values}
        if not lower <= YES_WORDS | NO_WORDS or not (lower & YES_WORDS and lower & NO_WORDS):
            return None
        numbers = [number for text in values if (number := as_number(text, self._source)) is not None]
        if len(numbers) == len(values):
            self._note(
                column,
                "it is 0 or 1 in every row",
                "it is an integer, since a count may rise above 1",
                'If it can be nothing else, set kind "boolean"',
            )
            return {"kind": "integer", "minimum": 0, "maximum": None}
        odd = sorted(text for text in values if text.lower() not in TRUE | FALSE)
        for text in odd:
            (self._words.true if text.lower() in YES_WORDS else self._words.false)[text] = None
        if len(values) > 2 or odd:
            self._note(
                column,
                f"it is spelt {', '.join(map(repr, sorted(values)))}",
                "it is a boolean (source.trueValues, falseValues)" if odd else "it is a boolean, whatever the case",
            )
        return {"kind": "boolean"}

    def _date(
        self, column: str, feature: dict[str, Any], formats: tuple[str, str], example: str, words: Mapping[str, int]
    ) -> dict[str, Any] | None:
        form, other = formats
        doubt = f", or {other}: no day is above 12" if other else ""
        seen = f"it is a date ({form}{doubt}, such as {example!r})"
        if self._time_column is None:
            self._note(
                column,
                seen,
                "it is left out: a date alone grows out of every range",
                "Name the time of a row with --time, and it becomes the days before that",
            )
            return None
        if form != ISO:
            self._words.date_formats[form] += 1
        self._words.missing.update(dict.fromkeys(sorted(words)))
        self._note(
            column,
            seen,
            f"it is learnt from as days before {self._time_column}",
            'Set "as" to month or weekday for the calendar',
        )
        return feature | {"kind": "date", "as": "days_before"}

    def _number(self, column: str, feature: dict[str, Any], values: Mapping[str, int]) -> dict[str, Any]:
        read = {text: as_number(text, self._source) for text in values}
        odd = sorted(text for text, number in read.items() if number is None)
        if odd:
            rows = sum(values[text] for text in odd)
            self._note(
                column,
                f"{rows} of {self._n} rows hold no number:"
                f" {', '.join(map(repr, odd[:5]))}{', ...' if len(odd) > 5 else ''}",
                "it is a number; such rows are refused by line",
                "Add them to source.missingValues, or mend them",
            )
        numbers = {text: number for text, number in read.items() if number is not None and math.isfinite(number)}
        whole = all(number.is_integer() for number in numbers.values()) and not any(
            (self._source.decimal_char or ".") in text for text in numbers
        )
        distinct = sorted(set(numbers.values()))
        if whole and self._are_codes(values, distinct):
            shown = ", ".join(f"{number:g}" for number in distinct)
            self._note(
                column,
                f"it is an integer of {len(distinct)} values without a step ({shown})",
                "they are taken for codes: a category",
                f'If they are amounts, set kind "integer" for {column}',
            )
            levels = sorted(numbers, key=lambda text: numbers[text])
            return feature | {"kind": "categorical", "levels": levels, "unseen": "accept"}
        if len(distinct) == 2:
            self._note(
                column,
                f"it has two values, {distinct[0]:g} and {distinct[1]:g}",
                "it is a number",
                'If they are codes, set kind "categorical"',
            )
        elif whole and 2 < len(distinct) <= MAX_CODES and self._n >= 50:
            self._note(
                column,
                f"it is an integer of {len(distinct)} values, {distinct[0]:g} to {distinct[-1]:g}",
                "it is a number",
                'If they are codes, set kind "categorical"',
            )
        low, high = distinct[0], distinct[-1]
        bound = _round_up(max(abs(low), abs(high), 1.0) * _HEAD_ROOM)
        minimum = 0 if whole and low >= 0 else -bound
        return feature | {"kind": "integer" if whole else "numeric", "minimum": minimum, "maximum": bound}

    def _are_codes(self, values: Mapping[str, int], distinct: Sequence[float]) -> bool:
        """Few integers, each in many rows, that are no scale: not evenly spaced, as 1, 2, 3 or 12, 24, 36 are, and not
        small counts.
        """
        if not 2 < len(distinct) <= MAX_CODES or self._n < 50 or min(values.values()) < max(5, 0.005 * self._n):
            return False
        steps = {after - before for before, after in pairwise(distinct)}
        return len(steps) > 1 and distinct[-1] > MAX_CODES

    def _category(
        self, column: str, feature: dict[str, Any], values: Mapping[str, int], words: Mapping[str, int], blank: int
    ) -> dict[str, Any] | None:
        kept = dict(values)
        for text, count in sorted(words.items()):
            doubtful = text.casefold() in DOUBTFUL_WORDS and text not in self._words.missing
            if doubtful:
                kept[text] = count
                self._note(
                    column,
                    f"{text!r} stands in {count} of {self._n} rows, and may be a level or mean nothing",
                    "it is kept as a level",
                    f'If it means nothing, take it out of the levels and set source.missingValues to ["", {text!r}]',
                )
            else:
                self._words.missing[text] = None
        feature["nullable"] = bool(blank or len(kept) < len(values) + len(words))
        if len(kept) > MAX_LEVELS:
            alike = number_share(values, self._source)
            more = f"; {alike:.0%} of its rows are numbers" if alike > 0.5 else ""
            self._note(
                column,
                f"it has {len(kept)} different texts{more}",
                f"it is left out: a category has at most {MAX_LEVELS} levels",
                "Group its values, and draft again",
            )
            return None
        folded: dict[str, list[str]] = {}
        for level in sorted(kept):
            folded.setdefault(" ".join(level.split()).casefold(), []).append(level)
        levels: list[str] = []
        aliases: dict[str, str] = {}
        for spellings in folded.values():
            level = max(spellings, key=lambda text: kept[text])
            levels.append(level)
            aliases |= {text: level for text in spellings if text != level}
        if len(levels) == 1 and not feature["nullable"]:
            self._note(
                column, f"it is always {levels[0]!r}, in several spellings", "it is left out: a constant says nothing"
            )
            return None
        if aliases:
            self._note(
                column,
                f"levels differ in case or blanks only: {', '.join(map(repr, sorted(aliases)))}",
                "they are aliases of the more frequent spelling",
            )
            feature["aliases"] = aliases
        rare = sum(count <= 3 for count in kept.values())
        if rare or len(levels) > MAX_CODES or len(levels) == 1:
            (
                self._note(
                    column,
                    f"{len(levels)} levels, {rare} of them in at most three rows",
                    "others are to be expected, and accepted (unseen accept)",
                    'Set unseen "refuse" if the list is complete',
                )
                if rare
                else None
            )
            feature["unseen"] = "accept"
        return feature | {"kind": "categorical", "levels": sorted(levels)}

    def _auc(self, column: str, feature: Mapping[str, Any]) -> float:
        """ROC-AUC of the column alone, in either direction: of its numbers, of its levels (by the rates in the other
        half of the rows), or of where it is blank.
        """
        texts = self._rows[column]
        if min(self._positives.sum(), self._n - self._positives.sum()) < 10:
            return 0.5
        best = 0.5
        if feature["kind"] in ("integer", "numeric"):
            memo = {text: as_number(text, self._source) for text in set(texts)}
            numbers = np.array([math.nan if (number := memo[text]) is None else number for text in texts])
            there = ~np.isnan(numbers)
            best = max(
                _auc(there.astype(np.float64), self._positives),
                _auc(numbers[there], self._positives[there]) if there.mean() > 0.5 else 0.5,
            )
        if feature["kind"] in ("categorical", "boolean") or len(set(texts)) <= MAX_LEVELS:
            codes = np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)[1]
            half = np.arange(self._n) % 2 == 0
            scores = np.empty(self._n)
            for own, other in ((half, ~half), (~half, half)):
                of_level = np.bincount(codes[other], self._positives[other], codes.max() + 1)
                scores[own] = (
                    (of_level + self._positives.mean()) / (np.bincount(codes[other], minlength=codes.max() + 1) + 1)
                )[codes[own]]
            best = max(best, _auc(scores, self._positives))
        return best


def _padded(texts: Iterable[str]) -> str | None:
    """The first of these texts of digits that has leading zeros; None if none has."""
    return min((text for text in texts if text[0] == "0" and len(text) > 1), default=None)


def _rounded(texts: Iterable[str]) -> str | None:
    """The first of these texts that is a whole number which no double holds; None if none is.

    >>> _rounded(["9007199254740992", "9007199254740993"]), _rounded(["12345678901234567.5"])
    ('9007199254740993', None)
    """
    long = (text for text in texts if 16 <= len(text) <= _MAX_DIGITS and text.lstrip("+-").isdecimal())
    return next((text for text in long if int(text) != float(text)), None)


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


def _round_up(number: float) -> float | int:
    """The next number of one digit and zeros.

    >>> _round_up(1190.5), _round_up(720)
    (2000, 800)
    """
    step = 10.0 ** math.floor(math.log10(number))
    rounded = math.ceil(number / step) * step
    return int(rounded) if rounded.is_integer() and rounded < 2**53 else rounded

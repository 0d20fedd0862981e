"""What a draft proposes of each column: the id, a feature with its rules, or to leave it out, and why."""

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stillgood.domain.contract.contract import Source
from stillgood.domain.contract.dialect import (
    DOUBTFUL_WORDS,
    ISO,
    MISSING_WORDS,
    NO_WORDS,
    YES_WORDS,
    as_number,
    date_format,
    number_share,
)
from stillgood.domain.contract.draft_looks import (
    ID_NAME,
    MAX_CODES,
    MAX_LEVELS,
    SAMPLED,
    Bools,
    Floats,
    are_codes,
    auc_alone,
    counts_rows,
    days_of,
    is_unique,
    names_rows,
    numbers_of,
    padded_text,
    rounded_text,
)
from stillgood.domain.contract.draft_note import DraftNote, Words
from stillgood.domain.contract.draft_source import MIN_NUMERIC
from stillgood.domain.contract.draft_together import MAX_COLUMNS, Looked, not_by_chance, sampled, tell_together
from stillgood.domain.contract.row_check import FALSE, TRUE

LEAK = 0.99  # ROC-AUC of one column alone, above which it is taken to know the outcome
NEAR_LEAK = 0.96  # above which it is asked about
_LARGEST_OF_ONE_DIGIT = 1e308
_HEAD_ROOM = 10.0  # a limit from data: so many times the largest value seen; a change of units still is refused


class Drafter:
    """Drafts the features of one table, whose outcomes are known: ``positives`` bool[n]."""

    def __init__(
        self,
        rows: Mapping[str, Sequence[str]],
        positives: Bools,
        source: Source,
        words: Words,
        notes: list[DraftNote],
        *,
        time_column: str | None,
        keep: frozenset[str],
    ) -> None:
        self._rows, self._positives, self._source, self._words, self._notes = rows, positives, source, words, notes
        self._time_column, self._keep = time_column, keep
        self._n = len(positives)
        self._sample = sampled(positives)
        self._alone: dict[str, float] = {}
        self._code_of = {"": 0}

    def _note(self, column: str, seen: str, decided: str, change: str = "") -> None:
        self._notes.append(DraftNote(column, seen, decided, change))

    def propose_id(self, columns: Sequence[str]) -> str | None:
        """The column that names rows, if there is one: the first that is called so, else the first."""
        unique = [column for column in columns if names_rows(column, self._rows[column], self._source)]
        if not unique:
            return None
        chosen = next((column for column in unique if ID_NAME.search(column)), unique[0])
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
        if counts_rows(texts):
            self._note(column, "it counts the rows", "it is left out")
            return None
        whole = self._n >= 20 and all(text.isascii() and text.isdigit() for text in texts)
        if whole and is_unique(texts) and not names_rows(column, texts, self._source):
            self._note(
                column,
                f"every one of {self._n} rows has another whole number",
                "it is learnt from as a number",
                "If it names rows, such as a customer's number, take it out of the features, or give --id",
            )
        if names_rows(column, texts, self._source):
            self._note(column, f"every one of {self._n} rows has another value", "it is left out: it names rows")
            return None
        drafted = self._drafted(column, values, words, blank)
        if drafted is None:
            return None
        return drafted if self._is_known_before(column, drafted["kind"]) else None

    def ask_together(self, features: Sequence[Mapping[str, Any]]) -> None:
        """Ask about every two features that together tell the outcome."""
        looked = [self._looked(feature["name"], feature["kind"]) for feature in features]
        among = [column for column in looked if column.alone <= LEAK]
        if len(among) > MAX_COLUMNS:
            self._note(
                "",
                f"it has {len(among)} columns to learn from",
                f"{MAX_COLUMNS} of them, those that are filled in and tell most alone, were looked at two by two for"
                " what tells the outcome together",
            )
        for pair in tell_together(among, self._positives[self._sample], LEAK):
            seen = f"with {pair.second} it tells the outcome, {pair.how} (ROC-AUC {pair.auc:.3f})"
            if {pair.first, pair.second} <= self._keep:
                self._note(pair.first, seen, "both are kept, as --keep says")
                continue
            self._note(
                pair.first,
                seen,
                "both are learnt from",
                "Is either known only afterwards? If so, take it out of the features; if not,"
                f" --keep {pair.first} --keep {pair.second} says so",
            )

    def _is_known_before(self, column: str, kind: str) -> bool:
        """Whether the column may be learnt from; what tells the outcome alone is probably known only afterwards."""
        auc = self._alone[column] = self._auc_alone(column, kind)
        kept = column in self._keep
        if auc > LEAK:
            seen = f"alone it tells the outcome (ROC-AUC {auc:.3f})"
            if not kept:
                self._note(
                    column,
                    seen,
                    "it is left out as leakage: it is probably known only afterwards",
                    f"Keep it with --keep {column}",
                )
                return False
            self._note(column, seen, "it is kept, as --keep says")
        elif auc > NEAR_LEAK and not_by_chance(auc, self._positives, len(self._rows)):
            seen = f"alone it nearly tells the outcome (ROC-AUC {auc:.3f})"
            if kept:
                self._note(column, seen, "it is kept, as --keep says")
            else:
                self._note(
                    column,
                    seen,
                    "it is learnt from",
                    f"Is it known only afterwards? If so, take it out of the features; if not, --keep {column} says so",
                )
        return True

    def _auc_alone(self, column: str, kind: str) -> float:
        texts = self._rows[column]
        if kind == "date":  # days before the row's time are what is learnt from
            days = self._days(self._time_column or column) - self._days(column)
            return auc_alone(self._sampled(column), days, self._positives[self._sample])
        numbers = numbers_of(texts, self._source) if kind in ("integer", "numeric") else None
        return auc_alone(texts, numbers, self._positives)

    def _sampled(self, column: str) -> list[str]:
        texts = self._rows[column]
        return [texts[row] for row in self._sample]

    def _days(self, column: str) -> Floats:
        return days_of(self._sampled(column))

    def _looked(self, column: str, kind: str) -> Looked:
        there = self._sampled(column)
        numbers: Floats | None = None
        if kind == "date":
            numbers = self._days(column)
        elif kind in ("integer", "numeric"):
            numbers = numbers_of(there, self._source)
        codes = np.array([self._code_of.setdefault(text, len(self._code_of)) for text in there], np.int64)
        return Looked(column, numbers, codes - 1, self._alone[column])  # the blank, which is the first, has -1

    def _drafted(
        self, column: str, values: Mapping[str, int], words: Mapping[str, int], blank: int
    ) -> dict[str, Any] | None:
        commonest = dict(sorted(values.items(), key=lambda item: (-item[1], item[0]))[:SAMPLED])
        feature: dict[str, Any] = {"name": column, "nullable": bool(blank or words)}
        if (boolean := self._boolean(column, values)) is not None:
            self._words.missing.update(dict.fromkeys(sorted(words)))
            return feature | boolean
        if (formats := date_format(list(commonest))) is not None:
            return self._date(column, feature, formats, next(iter(commonest)), words)
        padded = padded_text(values) if all(text.isascii() and text.isdigit() for text in values) else None
        rounded = rounded_text(values)
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
        if whole and are_codes(values, distinct, self._n):
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


def _round_up(number: float) -> float | int:
    """The next number of one digit and zeros, at most the largest double.

    >>> _round_up(1190.5), _round_up(720), _round_up(math.inf) == sys.float_info.max
    (2000, 800, True)
    """
    if number > _LARGEST_OF_ONE_DIGIT:
        return sys.float_info.max
    step = 10.0 ** math.floor(math.log10(number))
    rounded = math.ceil(number / step) * step
    return int(rounded) if rounded.is_integer() and rounded < 2**53 else rounded

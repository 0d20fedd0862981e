"""How a file writes numbers, times and missing values: what a draft states as the contract's ``source``."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from stillgood.domain.contract.contract import Source
from stillgood.domain.contract.dialect import (
    DOUBTFUL_WORDS,
    ISO,
    MISSING_WORDS,
    ambiguous_signs,
    date_format,
    number_share,
    number_signs,
)
from stillgood.domain.contract.draft_looks import SAMPLED
from stillgood.domain.contract.draft_note import DraftNote, Words
from stillgood.domain.contract.source_text import BELOW_ZERO

MIN_NUMERIC = 0.95  # of the rows of a column of numbers; the others are its exceptions


def find_number_signs(
    rows: Mapping[str, Sequence[str]], other: Collection[str | None], words: Words, notes: list[DraftNote]
) -> Source:
    nothing = MISSING_WORDS | DOUBTFUL_WORDS
    sampled = {}
    for column, texts in rows.items():
        if column not in other:
            counts = Counter(text for text in texts if text and text.casefold() not in nothing)
            common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:SAMPLED]
            below = [item for item in counts.items() if item[0][0] == "(" or item[0][-1] in ")-"][:SAMPLED]
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


def find_time_format(column: str, texts: Sequence[str], words: Words, notes: list[DraftNote]) -> None:
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
    different = list(dict.fromkeys(stated))[:SAMPLED]
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


def source_section(
    source: Source,
    words: Words,
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

"""A first contract from a table: kinds, ranges and levels as the values suggest. A person corrects it; the rules are theirs to set."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stillgood.domain.contract.contract import FORMAT, FORMAT_VERSION
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import FALSE, TRUE
from stillgood.domain.errors import ContractInvalid

MOST_LEVELS = 200
_ROOM = 0.5  # how much of the seen span a range is widened by, on each side


def draft(
    rows: Sequence[Mapping[str, str]],
    *,
    target: str,
    positive: str,
    id_column: str | None = None,
    time_column: str | None = None,
    name: str = "draft",
) -> dict[str, Any]:
    """A contract, as JSON data, that accepts every row whose outcome is known. ``rows`` are CSV rows as text.

    Blank values make a feature nullable. Raises ContractInvalid, which names the column and what to do about it.
    """
    if not rows:
        raise ContractInvalid("The table has no rows; a draft needs some to look at.")
    columns = list(rows[0])
    for column in filter(None, (target, id_column, time_column)):
        if column not in columns:
            raise ContractInvalid(f"There is no column {column!r}; the table has {', '.join(columns)}.")
    outcomes = sorted({row[target].strip() for row in rows} - {""})
    if positive not in outcomes or len(outcomes) != 2:
        raise ContractInvalid(
            f"{target} must have two values, one of them {positive!r}; it has {', '.join(outcomes[:10])}. Name the outcome column and its positive value."
        )
    names = [column for column in columns if column not in (target, id_column, time_column)]
    raw: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        "version": "1",
        "id": id_column,
        "time": time_column,
        "target": {
            "name": target,
            "positive": positive,
            "negative": next(one for one in outcomes if one != positive),
        },
        "features": [_feature(column, [row[column].strip() for row in rows]) for column in names],
        "floors": {"roc_auc": 0.7, "recall": 0.8, "precision": 0.0},
        "costs": None,
        "slices": [],
        "training": {},
        "monitoring": {},
    }
    return read_contract(raw).to_dict()


def _feature(name: str, texts: Sequence[str]) -> dict[str, Any]:
    values = {text for text in texts if text}
    given: dict[str, Any] = {"name": name, "nullable": "" in texts or not values}
    if values <= {"0", "1"} or (values and {text.lower() for text in values} <= TRUE | FALSE):
        return given | {"kind": "boolean"}
    numbers = [_number(text) for text in values]
    if None not in numbers:
        known = [number for number in numbers if number is not None]
        low, high = min(known), max(known)
        room = _ROOM * (high - low) or max(abs(high), 1.0)
        whole = all(number.is_integer() for number in known) and not any("." in text for text in values)
        minimum = 0.0 if low >= 0 else low - room
        return given | {
            "kind": "integer" if whole else "numeric",
            "minimum": math.floor(minimum),
            "maximum": math.ceil(high + room),
        }
    if len(values) > MOST_LEVELS:
        raise ContractInvalid(
            f"{name} has {len(values)} different texts, too many for a category. Leave the column out of the file, name it with --id or --time, or group its values."
        )
    return given | {"kind": "categorical", "levels": sorted(values)}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None

"""A first contract from a table, as a careful colleague would write it: what was seen, what was decided, and how to
decide otherwise.

A person corrects it; the rules are theirs to set. What comes from data leaves head-room, so that the next period's rows
are not refused.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from stillgood.domain.contract.contract import FORMAT, FORMAT_VERSION
from stillgood.domain.contract.draft_features import Drafter
from stillgood.domain.contract.draft_note import DraftNote, Words
from stillgood.domain.contract.draft_outcome import read_outcome
from stillgood.domain.contract.draft_source import find_number_signs, find_time_format, source_section
from stillgood.domain.contract.fields import SCHEMA_URL
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ContractInvalid


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
    kept, and not asked about, although they give the outcome away. Raises ContractInvalid, which names every column
    that hinders a draft.
    """
    notes: list[DraftNote] = []
    texts = {column: [text.strip() for text in values] for column, values in columns.items()}
    if not texts or not next(iter(texts.values())):
        raise ContractInvalid("The table has no rows; a draft needs some to look at.")
    for column in filter(None, (target, id_column, time_column, *keep)):
        if column not in texts:
            raise ContractInvalid(f"There is no column {column!r}; the table has {', '.join(texts)}.")
    words = Words({}, {}, {}, Counter())
    outcome, spelt = read_outcome(target, positive, texts[target], words, notes)
    known = np.flatnonzero(outcome >= 0).tolist()
    rows = {column: [values[row] for row in known] for column, values in texts.items()}
    positives = outcome[known] == 1
    source = find_number_signs(rows, (target, id_column, time_column), words, notes)
    if time_column is not None:
        find_time_format(time_column, rows[time_column], words, notes)
    drafted = Drafter(rows, positives, source, words, notes, time_column=time_column, keep=frozenset(keep))
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
    drafted.ask_together(features)
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
    if stated := source_section(source, words, delimiter, encoding, notes):
        raw["source"] = stated
    return {"$schema": SCHEMA_URL, **read_contract(raw).to_dict()}, notes

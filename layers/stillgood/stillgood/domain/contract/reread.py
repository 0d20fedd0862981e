"""Rows of one contract, read by another: two models of different contracts are compared on the same rows, each by its
own columns.
"""

from collections.abc import Sequence

import numpy as np

from stillgood.domain.contract.contract import Contract, Feature, FeatureValue
from stillgood.domain.contract.frame import NULL, UNSEEN, Column, Frame
from stillgood.domain.contract.row_check import FieldChecker
from stillgood.domain.errors import ModelUnusable


def read_as(contract: Contract, frame: Frame, reader: str) -> Frame:
    """``frame`` in the columns of ``contract``, row by row the same.

    A feature of both keeps its values, a level that ``contract`` does not have is unseen. One that is of another kind,
    or that only ``contract`` has, is read from the text of the data. A value that no row has, or that ``contract``
    refuses, is missing: a model that still needs a column that ended upstream is judged without it, as it would serve.
    ``reader`` names the model in the message. Raises ModelUnusable where the other columns were not kept.
    """
    if frame.contract.sha256 == contract.sha256:
        return frame
    own = {feature.name: feature for feature in frame.contract.features}
    columns: dict[str, Column] = {}
    for feature in contract.features:
        mine = own.get(feature.name)
        if mine is not None and mine.categorical == feature.categorical:
            column = frame.columns[feature.name]
            columns[feature.name] = _levels(mine, feature, column) if feature.categorical else column
        elif frame.other is None:
            raise ModelUnusable(
                f"{reader} reads {feature.name!r} as {feature.kind}, which the candidate's holdout does not hold; the"
                " contracts are too far apart to compare."
            )
        elif mine is not None:
            columns[feature.name] = _read(feature, _texts(mine, frame.columns[feature.name]))
        else:
            columns[feature.name] = _read(feature, frame.other.get(feature.name) or [""] * frame.n)
    return Frame(contract, frame.n, columns, frame.other)


def _levels(mine: Feature, feature: Feature, column: Column) -> Column:
    """Codes of ``mine`` as codes of ``feature``, by the names of the levels."""
    places = {level: place for place, level in enumerate(feature.levels)}
    # Codes -2 and -1 wrap to the places of unseen and null behind the levels.
    codes = np.array([*(places.get(level, UNSEEN) for level in mine.levels), UNSEEN, NULL], dtype=np.int32)
    return codes[column.astype(np.int64)]


def _texts(mine: Feature, column: Column) -> list[str]:
    """A column as the data would hold it; what an unseen level was is not known any more."""
    if mine.categorical:
        return [mine.levels[code] if code >= 0 else "" for code in column.tolist()]
    return [
        "" if value != value else str(int(value)) if value.is_integer() else repr(value) for value in column.tolist()
    ]


def _read(feature: Feature, texts: Sequence[str]) -> Column:
    checker = FieldChecker(feature)
    known: dict[str, FeatureValue] = {}
    for text in texts:
        if text not in known:
            value, violation, _ = checker.read_text(text)
            known[text] = None if violation is not None else value
    if not feature.categorical:
        return np.array([known[text] for text in texts], dtype=np.float64)  # None becomes NaN
    places: dict[FeatureValue, int] = {level: place for place, level in enumerate(feature.levels)}
    places[None] = NULL
    return np.array([places.get(known[text], UNSEEN) for text in texts], dtype=np.int32)

"""Between columns of values and the sparse matrix that scikit-learn fits, and back from its weights to terms with a
meaning.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from stillgood.domain.contract.frame import Frame
from stillgood.domain.errors import ContractInvalid
from stillgood.domain.model.model import CategoricalTerm, CurveTerm, NumericTerm, Term

# Knots inside the range of a number that may bend, at quantiles; fewer different values than this stay a straight line.
KNOTS = 3
MIN_VALUES = 8

type Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Column:
    """Where one feature stands in the design matrix. ``center`` and ``scale`` are 0 and 1 for a category."""

    name: str
    start: int
    levels: tuple[str, ...]
    center: float
    scale: float
    null: int | None

    @property
    def width(self) -> int:
        return max(len(self.levels), 1) + (self.null is not None)


def design(frame: Frame) -> tuple[Column, ...]:
    """The columns of the design matrix: numbers standardised by their mean and standard deviation, one column a level.

    A nullable feature has one more column, 1 where it is null.
    """
    columns, start = [], 0
    for feature in frame.contract.features:
        values = frame.columns[feature.name]
        center, scale = 0.0, 1.0
        if not feature.categorical:
            center, scale = _spread(feature.name, np.asarray(values[~np.isnan(values)], dtype=np.float64))
        width = max(len(feature.levels), 1)
        column = Column(feature.name, start, feature.levels, center, scale, start + width if feature.nullable else None)
        columns.append(column)
        start += column.width
    return tuple(columns)


def _spread(name: str, present: Floats) -> tuple[float, float]:
    """Mean and standard deviation; 1 instead of 0, which for a constant would come out as a rounding error to be
    divided by.
    """
    if len(present) == 0:
        return 0.0, 1.0
    if present.min() == present.max():
        return float(present[0]), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        center, scale = float(present.mean()), float(present.std())
    if not np.isfinite(scale):
        raise ContractInvalid(
            f"The values of {name} are too far apart to standardise; give it a minimum and a maximum in the contract."
        )
    return center, scale or 1.0


def encode(frame: Frame, columns: tuple[Column, ...]) -> sparse.csr_array:
    """The design matrix, float64[n, width], one stored value per row and feature: built at once, without a dense
    one.
    """
    data = np.empty((frame.n, len(columns)))
    place = np.empty((frame.n, len(columns)), dtype=np.int32)
    for i, column in enumerate(columns):
        values = frame.columns[column.name]
        null = values == -1 if column.levels else np.isnan(values)
        if column.levels:
            place[:, i] = column.start + np.maximum(values, 0)
            data[:, i] = values >= 0  # an unseen level adds nothing
        else:
            place[:, i] = column.start
            data[:, i] = (values - column.center) / column.scale
        if column.null is not None:
            place[null, i] = column.null
        data[null, i] = column.null is not None
    ends = np.arange(frame.n + 1, dtype=np.int32) * len(columns)
    width = columns[-1].start + columns[-1].width
    return sparse.csr_array((data.ravel(), place.ravel(), ends), shape=(frame.n, width))


def encode_dense(frame: Frame, columns: tuple[Column, ...], more: Floats) -> Floats:
    """``encode`` as a dense matrix, with the columns ``more`` float64[n, any] beside it."""
    width = columns[-1].start + columns[-1].width
    matrix = np.zeros((frame.n, width + more.shape[1]))
    matrix[:, width:] = more
    for column in columns:
        values = frame.columns[column.name]
        if column.levels:
            null = values == -1
            known = np.flatnonzero(values >= 0)
            matrix[known, column.start + values[known]] = 1.0
        else:
            null = np.isnan(values)
            matrix[:, column.start] = np.where(null, 0.0, (values - column.center) / column.scale)
        if column.null is not None:
            matrix[null, column.null] = 1.0
    return matrix


def terms_of(
    frame: Frame, columns: tuple[Column, ...], weights: Floats, intercept: float
) -> tuple[tuple[Term, ...], float]:
    """Terms whose categorical weights are centred on the training rows, so that contributions read "against the average
    row".
    """
    terms: list[Term] = []
    baseline = intercept
    for column in columns:
        null = float(weights[column.null]) if column.null is not None else 0.0
        if not column.levels:
            terms.append(NumericTerm(column.name, column.center, column.scale, float(weights[column.start]), null))
            continue
        own = weights[column.start : column.start + len(column.levels)]
        codes = frame.columns[column.name]
        counts = np.bincount(codes[codes >= 0].astype(np.int64), minlength=len(own))
        mean = float((counts @ own + (codes == -1).sum() * null) / max(frame.n, 1))
        centred = {level: float(weight) - mean for level, weight in zip(column.levels, own, strict=True)}
        terms.append(CategoricalTerm(column.name, centred, null - mean, -mean))
        baseline += mean
    return tuple(terms), baseline


def knots(frame: Frame) -> dict[str, Floats]:
    """Where the line of a number may bend: least value, up to ``KNOTS`` quantiles, largest value; numbers that may not
    are left out.
    """
    bends = {}
    for feature in frame.contract.features:
        column = frame.columns[feature.name]
        if feature.kind in ("categorical", "boolean"):
            continue
        present = np.asarray(column[~np.isnan(column)], dtype=np.float64)
        if len(np.unique(present)) < MIN_VALUES:
            continue
        at = np.quantile(present, np.linspace(0, 1, KNOTS + 2), method="closest_observation")
        if len(at := np.unique(at)) > 2:
            bends[feature.name] = at
    return bends


def hinges(frame: Frame, columns: tuple[Column, ...], bends: dict[str, Floats]) -> Floats:
    """float64[n, inner knots]: max(x - knot, 0) / scale, 0 for null; beside the straight columns these make a broken
    line.
    """
    parts = [
        np.nan_to_num(np.maximum(frame.columns[column.name][:, None] - bends[column.name][1:-1], 0.0) / column.scale)
        for column in columns
        if column.name in bends
    ]
    return np.hstack(parts) if parts else np.empty((frame.n, 0))


def curves(
    frame: Frame, columns: tuple[Column, ...], bends: dict[str, Floats], slopes: Floats, terms: tuple[Term, ...]
) -> tuple[tuple[Term, ...], float]:
    """``terms`` with the straight ones of ``bends`` bent by ``slopes`` float64[inner knots] and centred on the training
    rows;
    and what that takes out of them, for the baseline."""
    bent: list[Term] = []
    start, moved = 0, 0.0
    for column, term in zip(columns, terms, strict=True):
        if column.name not in bends or not isinstance(term, NumericTerm):
            bent.append(term)
            continue
        at = bends[column.name]
        own = slopes[start : start + len(at) - 2]
        start += len(own)
        shares = term.weight * ((at - column.center) / column.scale)
        shares += (np.maximum(at[:, None] - at[1:-1], 0.0) / column.scale) @ own
        values = frame.columns[column.name]
        mean = float(np.where(np.isnan(values), term.missing, np.interp(values, at, shares)).mean())
        bent.append(CurveTerm(term.name, tuple(at.tolist()), tuple((shares - mean).tolist()), term.missing - mean))
        moved += mean
    return tuple(bent), moved

"""Values into at most 64 bins a feature, which is what trees split: quantiles of a number, levels of a category."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.frame import Frame

MAX_BINS = 64
MAX_LEVELS = 128  # rarer levels share a place with null

type Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Per feature, in the contract's order. ``missing`` is the bin of null and of unseen levels, the same for all.

    ``thresholds``: cut points of a number, ascending; the levels' codes of a category, of which bin ``k`` holds the
    k-th. ``low``, ``high``: the range of a number in the rows that were binned. ``monotone``: 1, -1, or 0 for no
    constraint.
    """

    names: tuple[str, ...]
    thresholds: tuple[Floats, ...]
    categorical: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.uint32]
    has_missing: npt.NDArray[np.uint8]
    monotone: npt.NDArray[np.int8]
    missing: int

    def codes(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """uint8[n, features], a column after the other in memory: the bin of each value."""
        made = np.empty((frame.n, len(self.names)), dtype=np.uint8, order="F")
        for place, name in enumerate(self.names):
            column = frame.columns[name]
            if self.categorical[place]:
                levels = self.thresholds[place].astype(np.int64)
                # Codes -2 (unseen) and -1 (null) index the last two places.
                bin_of = np.full(len(frame.contract.feature(name).levels) + 2, self.missing)
                bin_of[levels] = np.arange(len(levels))
                made[:, place] = bin_of[column]
            else:
                places = np.searchsorted(self.thresholds[place], column, side="left")
                made[:, place] = np.where(np.isnan(column), self.missing, places)
        return made


def bin_columns(frame: Frame) -> Bins:
    """Cut points half-way between neighbouring values, or between quantiles where there are more than ``MAX_BINS``
    values.
    """
    features = frame.contract.features
    thresholds, has_missing = [], []
    for feature in features:
        column = frame.columns[feature.name]
        if feature.kind == "categorical":
            counts = np.bincount(column[column >= 0].astype(np.int64), minlength=len(feature.levels))
            often = np.argsort(-counts, kind="stable")[:MAX_LEVELS]
            known = np.sort(often[counts[often] > 0])
            thresholds.append(known.astype(np.float64))
            has_missing.append(bool((column < 0).any()) or len(known) < int((counts > 0).sum()))
        else:
            present = np.asarray(column[~np.isnan(column)], dtype=np.float64)
            thresholds.append(_cuts(present))
            has_missing.append(len(present) < frame.n)
    categorical = np.array([feature.kind == "categorical" for feature in features])
    counts = np.array([len(cuts) + (not category) for cuts, category in zip(thresholds, categorical, strict=True)])
    signs = {"increasing": 1, "decreasing": -1, None: 0}
    return Bins(
        names=tuple(feature.name for feature in features),
        thresholds=tuple(thresholds),
        categorical=categorical.astype(np.uint8),
        counts=np.maximum(counts, 1).astype(np.uint32),
        has_missing=np.array(has_missing, dtype=np.uint8),
        monotone=np.array([signs[feature.monotone] for feature in features], np.int8),
        missing=max(int(counts.max()), 1),
    )


def _cuts(present: Floats) -> Floats:
    values = np.unique(present)
    if len(values) > MAX_BINS:
        values = np.unique(np.quantile(present, np.linspace(0, 1, MAX_BINS), method="closest_observation"))
    with np.errstate(over="ignore"):
        middles = values[:-1] + (values[1:] - values[:-1]) / 2
    # Between two neighbouring doubles there is none: the cut is then the lower one, and belongs to it.
    return np.unique(np.where(np.isfinite(middles) & (middles < values[1:]), middles, values[:-1]))

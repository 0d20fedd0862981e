"""The slices of a contract as masks over rows."""

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.frame import Frame


def segments(frame: Frame) -> dict[str, NDArray[np.bool_]]:
    """bool[n] for every value of every feature that the contract names under ``slices``: ``{"plan = basic": ...}``.

    A boolean's values are yes and no; rows with null or an unseen level are in no segment of that feature.
    """
    masks: dict[str, NDArray[np.bool_]] = {}
    for name in frame.contract.slices:
        feature, column = frame.contract.feature(name), frame.columns[name]
        values = enumerate(feature.levels) if feature.categorical else ((1, "yes"), (0, "no"))
        for code, value in values:
            masks[f"{name} = {value}"] = np.asarray(column == code, dtype=np.bool_)
    return masks

"""The slices of a contract as masks over rows."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract
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


def slice_names(contract: Contract) -> list[str]:
    """Every slice of the contract, in its order, named as in ``segments``."""
    named = []
    for name in contract.slices:
        feature = contract.feature(name)
        named += [f"{name} = {value}" for value in (feature.levels if feature.categorical else ("yes", "no"))]
    return named


def slices_of(contract: Contract, values: Mapping[str, object]) -> list[str]:
    """The slices that a row with these checked values is in, by name; none of a feature that is null or not there.

    >>> from stillgood.domain.contract.contract import Feature, Target
    >>> plan, senior = Feature("plan", "categorical", levels=("a", "b")), Feature("senior", "boolean")
    >>> contract = Contract("c", "1", None, None, Target("y", "1", "0"), (plan, senior), slices=("plan", "senior"))
    >>> slices_of(contract, {"plan": "b", "senior": 1.0}), slices_of(contract, {"plan": "new", "senior": None})
    (['plan = b', 'senior = yes'], [])
    """
    known = []
    for name in contract.slices:
        feature, value = contract.feature(name), values.get(name)
        if feature.categorical:
            known += [f"{name} = {value}"] if value in feature.levels else []
        elif value in (0, 1):
            known.append(f"{name} = {'yes' if value else 'no'}")
    return known

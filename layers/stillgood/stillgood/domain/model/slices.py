"""The slices of a contract as masks over rows."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame


def segments(frame: Frame) -> dict[str, NDArray[np.bool_]]:
    """bool[n] for every value of every feature that the contract names under ``slices``: ``{"plan = basic": ...}``.

    A boolean's values are yes and no; rows with null or an unseen level are in no segment of that feature.
    """
    return {
        name: np.asarray(frame.columns[feature] == code, dtype=np.bool_)
        for name, feature, code, _ in _named(frame.contract)
    }


def slice_names(contract: Contract) -> list[str]:
    """Every slice of the contract, in its order, named as in ``segments``."""
    return [name for name, *_ in _named(contract)]


def slices_of(contract: Contract, values: Mapping[str, object]) -> list[str]:
    """The slices that a row with these checked values is in, by name; none of a feature that is null or not there.

    >>> from stillgood.domain.contract.contract import Feature, Target
    >>> plan, senior = Feature("plan", "categorical", levels=("a", "b")), Feature("senior", "boolean")
    >>> contract = Contract("c", "1", None, None, Target("y", "1", "0"), (plan, senior), slices=("plan", "senior"))
    >>> slices_of(contract, {"plan": "b", "senior": 1.0}), slices_of(contract, {"plan": "new", "senior": None})
    (['plan = b', 'senior = yes'], [])
    """
    return [name for name, feature, _, value in _named(contract) if values.get(feature) == value]


def _named(contract: Contract) -> Iterator[tuple[str, str, int, object]]:
    """Of every slice its name, its feature, and the feature's value there: as a frame codes it, and as a checked row
    has it.
    """
    for name in contract.slices:
        feature = contract.feature(name)
        if feature.categorical:
            yield from ((f"{name} = {level}", name, code, level) for code, level in enumerate(feature.levels))
        else:
            yield f"{name} = yes", name, 1, 1
            yield f"{name} = no", name, 0, 0

"""The models that score a candidate's rows in its place: each was fitted without the customers of one fold.

``models/<version>/folds.json``, written by train, read by promote. A customer's fold follows from the hash of its id
alone, so it is the same in every run, and promote can tell for every row which model has not seen it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.model import Model

FOLDS = 5
FORMAT = "stillgood.folds"


def fold_of(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """int64[n], 0 to ``FOLDS`` - 1: the fold of each entity, by the hash of its id.

    Multiplied first (Knuth's golden ratio), so that neither ids in order nor the holdout of models before this one,
    which went by the last digits, gather in one fold.

    >>> fold_of(np.arange(8, dtype=np.uint64)).tolist()
    [0, 4, 1, 1, 2, 4, 4, 1]
    """
    mixed = np.asarray(hashes, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((mixed >> np.uint64(33)) % np.uint64(FOLDS), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class FoldModels:
    """``models[k]`` has seen no row of fold k. ``against``: the champion whose unseen rows the holdout is, None without
    one; ``unseen``: whether it has seen none of them (else its own fold models have to speak for it).
    ``gate_version``: of the rules by which the version is judged, whenever that is.
    """

    version: str
    models: tuple[Model, ...]
    against: str | None
    unseen: bool
    gate_version: int = 2

    def __post_init__(self) -> None:
        if len(self.models) != FOLDS:
            raise ValueError(f"there is one model a fold, {FOLDS}, got {len(self.models)}")

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "format_version": 1,
            "version": self.version,
            "against": self.against,
            "unseen": self.unseen,
            "gate_version": self.gate_version,
            "models": [
                {name: part for name, part in model.to_dict().items() if name != "contract"} for model in self.models
            ],
        }

    @classmethod
    def from_dict(cls, contract: Contract, raw: Mapping[str, Any]) -> Self:
        """``contract``: of the version. Raises KeyError, TypeError, ValueError or ModelUnusable for a malformed
        ``raw``.
        """
        against = raw["against"]
        if (against is not None and not isinstance(against, str)) or not isinstance(raw["unseen"], bool):
            raise ValueError("'against' is a version or null, 'unseen' true or false")
        stated = contract.to_dict()
        models = tuple(Model.from_dict({**model, "contract": stated}) for model in raw["models"])
        return cls(str(raw["version"]), models, against, raw["unseen"], int(raw.get("gate_version", 2)))

"""The labelled rows that the gate judges a version on: ``models/<version>/holdout.json``, written by train, read by
promote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Holdout:
    """``target`` int8[n] is 1 where the outcome is the positive one; rows are in the order of ``frame``.

    ``entities`` uint64[n] are the hashes of the ids, whose row it is, by which one can be forgotten and folds are told;
    None in a version of before they were kept.
    """

    frame: Frame
    target: npt.NDArray[np.int8]
    entities: npt.NDArray[np.uint64] | None = None

    def __post_init__(self) -> None:
        if self.target.shape != (self.frame.n,):
            raise ValueError(f"a holdout has one outcome a row, got {self.target.shape} for {self.frame.n} rows")
        if not np.isin(self.target, (0, 1)).all():
            raise ValueError("the outcomes of a holdout are 0 or 1")
        if self.entities is not None and self.entities.shape != self.target.shape:
            raise ValueError(f"a holdout has one entity a row, got {self.entities.shape} for {self.frame.n} rows")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able. Holds rows and nothing of the model, so the same rows are the same bytes."""
        raw: dict[str, Any] = {
            "format": "stillgood.holdout",
            "format_version": 1,
            "frame": self.frame.to_dict(),
            "target": self.target.tolist(),
        }
        if self.entities is not None:
            raw["entities"] = [f"{entity:016x}" for entity in self.entities.tolist()]
        return raw

    @classmethod
    def from_dict(cls, contract: Contract, raw: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for a malformed ``raw``."""
        target = np.array(raw["target"])
        if target.dtype.kind != "i" or not np.isin(target, (0, 1)).all():  # a cast would turn .9 into 0
            raise ValueError("the outcomes of a holdout are 0 or 1")
        entities = raw.get("entities")
        hashes = None if entities is None else np.array([int(entity, 16) for entity in entities], dtype=np.uint64)
        return cls(Frame.from_dict(contract, raw["frame"]), target.astype(np.int8), hashes)

"""Many checked rows as columns, for training, the gate, monitoring and batch prediction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract, FeatureValue
from stillgood.domain.errors import ModelUnusable

NULL, UNSEEN = -1, -2
type Column = NDArray[np.float64] | NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """``n`` rows. Numeric, integer and boolean columns are float64[n] with NaN for null;

    categorical ones int32[n], an index into the feature's levels, -1 for null, -2 for an unseen level.
    ``other``: columns of the data that the contract does not name, as text, "" for blank; for a model of another
    contract. None where they were not kept.
    """

    contract: Contract
    n: int
    columns: Mapping[str, Column]
    other: Mapping[str, Sequence[str]] | None = None

    @classmethod
    def from_values(cls, contract: Contract, rows: Iterable[Mapping[str, FeatureValue]]) -> "Frame":
        """From the ``values`` of checked rows (no violations). Raises KeyError for a missing feature."""
        listed = list(rows)
        columns: dict[str, Column] = {}
        for feature in contract.features:
            name = feature.name
            if feature.categorical:
                codes: dict[FeatureValue, int] = {level: code for code, level in enumerate(feature.levels)}
                codes[None] = NULL
                columns[name] = np.fromiter((codes.get(row[name], UNSEEN) for row in listed), np.int32, len(listed))
            else:
                columns[name] = np.array([row[name] for row in listed], dtype=np.float64)  # None becomes NaN
        return cls(contract, len(listed), columns)

    def take(self, index: NDArray[Any] | Sequence[int]) -> "Frame":
        """The rows at ``index`` (positions or a boolean mask)."""
        columns: dict[str, Column] = {name: column[index] for name, column in self.columns.items()}
        n = len(next(iter(columns.values())))
        if self.other is None:
            return Frame(self.contract, n, columns)
        places = np.arange(self.n)[index].tolist()
        return Frame(
            self.contract, n, columns, {name: [texts[i] for i in places] for name, texts in self.other.items()}
        )

    def values(self, row: int) -> dict[str, FeatureValue]:
        """One row as a scorer of single rows reads it: None for null; an unseen level is a text that no level is."""
        values: dict[str, FeatureValue] = {}
        for feature in self.contract.features:
            value = self.columns[feature.name][row].item()
            if feature.categorical:
                values[feature.name] = (
                    None if value == NULL else "(unseen)" if value == UNSEEN else feature.levels[value]
                )
            else:
                values[feature.name] = None if value != value else value
        return values

    def to_dict(self) -> dict[str, Any]:
        """JSON columns: null for NaN, codes as they are. The contract is not repeated."""
        columns: dict[str, list[Any]] = {}
        for name, column in self.columns.items():
            values = column.tolist()
            columns[name] = values if column.dtype == np.int32 else [None if v != v else v for v in values]
        kept = {} if self.other is None else {"other": {name: list(texts) for name, texts in self.other.items()}}
        return {"rows": self.n, "columns": columns, **kept}

    @classmethod
    def from_dict(cls, contract: Contract, raw: Mapping[str, Any]) -> "Frame":
        """Raises ModelUnusable when the columns do not fit the contract."""
        try:
            n, raw_columns = int(raw["rows"]), raw["columns"]
            columns: dict[str, Column] = {}
            for feature in contract.features:
                categorical = feature.categorical
                column: Column = (
                    np.array(raw_columns[feature.name], dtype=np.int32)
                    if categorical
                    else np.array(raw_columns[feature.name], dtype=np.float64)
                )
                if column.shape != (n,):
                    raise ValueError(f"{feature.name} has shape {column.shape}, not {(n,)}")
                if categorical and n and not (int(column.min()) >= UNSEEN and int(column.max()) < len(feature.levels)):
                    raise ValueError(f"{feature.name} has a code outside its levels")
                if not categorical and np.isinf(column).any():
                    raise ValueError(f"{feature.name} is not finite")
                columns[feature.name] = column
            other = raw.get("other")
            if other is not None:
                other = {str(name): [str(text) for text in texts] for name, texts in other.items()}
                if any(len(texts) != n for texts in other.values()):
                    raise ValueError("another column has not one text a row")
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ModelUnusable(f"The stored rows are malformed ({type(error).__name__}: {error}).") from error
        return cls(contract, n, columns, other)


def concat(frames: Sequence[Frame]) -> Frame:
    """The rows of all frames, in order. They share one contract; there is at least one."""
    first = frames[0]
    columns: dict[str, Column] = {
        name: np.concatenate([frame.columns[name] for frame in frames]) for name in first.columns
    }
    return Frame(first.contract, sum(frame.n for frame in frames), columns)

"""Columns of texts as Arrow reads them: without a text of its own for each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class DictionaryColumn(Sequence[str]):
    """A column of texts in which each different one is kept once: row ``i`` is ``values[codes[i]]``."""

    values: list[str]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: Any) -> Any:
        return self.values[self.codes[index]]

    def texts(self) -> list[str]:
        """The column as a list."""
        return (
            self.values if len(self.values) == len(self.codes) else [self.values[code] for code in self.codes.tolist()]
        )


@dataclass(frozen=True, slots=True, eq=False)
class StringBuffer(Sequence[str]):
    """A column of texts without commas, most of them different, end to end: row ``i`` is ``data[starts[i] : starts[i +
    1]]``.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: Any) -> Any:
        return self.data[self.starts[index] : self.starts[index + 1]].tobytes().decode()

    def joined(self) -> str:
        """The texts with a comma between each two."""
        return np.insert(self.data, self.starts[1:-1], ord(",")).tobytes().decode()

    def texts(self) -> list[str]:
        """The column as a list."""
        return self.joined().split(",")

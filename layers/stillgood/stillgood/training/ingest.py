"""From labelled CSV objects under ``data/`` to columns: every row ends accepted, repaired by a stated rule, or refused with a reason.

``tables.py`` reads them, ``validate_columns.py`` holds them against the contract; here they come together, each row once and in canonical order.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Column, Frame
from stillgood.domain.contract.row_check import Violation
from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.training.tables import Refused, read_table
from stillgood.training.validate import Bools, Ints, Part, raw_rows, validate_columns

__all__ = ["Ingested", "Refused", "ingest", "require_enough"]

DUPLICATE = "(row): duplicate dropped"


@dataclass(frozen=True, slots=True, eq=False)
class Ingested:
    """Accepted rows in canonical order: by time, then by the hash of the id, whatever the order of objects and rows.

    ``target`` int8[n], 1 where the outcome is the positive one; ``times`` datetime64[us][n] in UTC; ``hashes`` uint64[n] of the ids.
    ``sha256`` is of the accepted rows. Every data row is in ``frame``, in ``refused``, or a dropped duplicate.
    """

    frame: Frame
    target: npt.NDArray[np.int8]
    ids: npt.NDArray[np.object_]
    times: npt.NDArray[np.datetime64]
    hashes: npt.NDArray[np.uint64]
    repaired: Mapping[str, int]
    refused: tuple[Refused, ...]
    objects: int
    sha256: str

    def counts(self) -> dict[str, Any]:
        """JSON-able: what became of objects and rows. A row that breaks several rules counts once under each of them."""
        rules = Counter(f"{one.field}: {one.rule}" for refused in self.refused for one in refused.violations)
        whole = sum(one.row is None for one in self.refused)
        return {
            "objects": self.objects,
            "accepted": self.frame.n,
            "repaired": dict(sorted(self.repaired.items())),
            "refused": dict(sorted(rules.items())),
            "refused_rows": len(self.refused) - whole,
            "refused_objects": whole,
        }


def ingest(contract: Contract, objects: Iterable[tuple[str, bytes]], *, latest: datetime | None = None) -> Ingested:
    """Read labelled CSV objects (key, bytes). No row may be dated after ``latest`` (aware). Never raises for what they hold."""
    parts: list[Part] = []
    refused: list[Refused] = []
    repaired: Counter[str] = Counter()
    count = 0
    for key, data in objects:
        count += 1
        table, unreadable = read_table(key, data, contract)
        refused += unreadable
        if len(table):
            part, broken, mended = validate_columns(contract, key, table, latest)
            refused += broken
            repaired += mended
            parts.append(part)
    columns, target, ids, times, origin = _together(contract, parts)
    kept, dropped, contradicting = _distinct(contract, columns, target, ids, times)
    refused += _conflicts(contract, parts, origin[contradicting])
    repaired += Counter({DUPLICATE: dropped})
    hashes = np.fromiter((_hash(one) for one in ids[kept]), np.uint64, int(kept.sum()))
    order = np.lexsort((hashes, times[kept]))
    index = np.flatnonzero(kept)[order]
    frame = Frame(contract, len(index), {name: column[index] for name, column in columns.items()})
    refused.sort(key=lambda one: (one.source, one.row or 0))
    return Ingested(
        frame=frame,
        target=target[index],
        ids=ids[index],
        times=times[index],
        hashes=hashes[order],
        repaired=repaired,
        refused=tuple(refused),
        objects=count,
        sha256=_digest(frame, target[index], times[index], hashes[order]),
    )


def require_enough(ingested: Ingested, kept: str | None = None) -> None:
    """Raise TooFewRows or OneClassOnly when the rows cannot be learnt from. ``kept``: the key under which refused rows are kept."""
    rules = ingested.frame.contract
    n, positives = ingested.frame.n, int(ingested.target.sum())
    most = Counter(ingested.counts()["refused"]).most_common(3)
    where = f"; see {kept}" if kept else ""
    also = f" Refused: {', '.join(f'{count} by {rule}' for rule, count in most)}{where}." if most else ""
    if n < rules.training.min_rows:
        raise TooFewRows(
            f"{n} usable labelled rows in {ingested.objects} objects under data/; the contract asks for {rules.training.min_rows}. "
            f"Upload CSV objects to data/<date>/.{also}",
            rows=n,
        )
    if positives in (0, n):
        only = rules.target.positive if positives else rules.target.negative
        raise OneClassOnly(
            f"All {n} labelled rows have {rules.target.name} = {only}; a model needs rows of both outcomes.{also}",
            rows=n,
        )


def _together(
    contract: Contract, parts: list[Part]
) -> tuple[dict[str, Column], npt.NDArray[np.int8], npt.NDArray[np.object_], npt.NDArray[np.datetime64], Ints]:
    """The rows of all parts, and ``origin`` int64[n, 2] of each: its part, and its position there."""
    none: dict[str, npt.NDArray[Any]] = {
        one.name: np.empty(0, np.int32 if one.categorical else np.float64) for one in contract.features
    }
    columns = {name: np.concatenate([empty, *(part.columns[name] for part in parts)]) for name, empty in none.items()}
    target = np.concatenate([np.empty(0, np.int8), *(part.target for part in parts)])
    ids = np.concatenate([np.empty(0, object), *(part.ids for part in parts)])
    times = np.concatenate([np.empty(0, "datetime64[us]"), *(part.times for part in parts)])
    places = [np.column_stack([np.full(len(part), i), np.arange(len(part))]) for i, part in enumerate(parts)]
    return columns, target, ids, times, np.concatenate([np.empty((0, 2), np.int64), *places])


def _distinct(
    contract: Contract,
    columns: Mapping[str, Column],
    target: npt.NDArray[np.int8],
    ids: npt.NDArray[np.object_],
    times: npt.NDArray[np.datetime64],
) -> tuple[Bools, int, Ints]:
    """Which rows stay (bool[n]), how many were there before, and where rows contradict each other: same id and time, other values.

    Without a time column an upload's date is no event time, so a row that returns unchanged is the same row, not news. The oldest
    copy stays. Of rows that contradict each other none does: nothing says which one is right.
    """
    content = pd.DataFrame({**columns, "(target)": target, "(id)": ids})
    if contract.time_column is not None:
        content["(time)"] = times
    oldest_first = np.argsort(times, kind="stable")
    again = np.zeros(len(target), dtype=bool)
    again[oldest_first] = content.iloc[oldest_first].duplicated().to_numpy()
    kept = ~again
    place = pd.DataFrame({"id": ids, "time": times})[kept]
    contradicting = np.flatnonzero(kept)[place.duplicated(keep=False).to_numpy()]
    kept[contradicting] = False
    return kept, int(again.sum()), contradicting


def _conflicts(contract: Contract, parts: list[Part], origin: Ints) -> list[Refused]:
    field = contract.id_column or "(row)"
    message = (
        f"Another row has the same {contract.id_column or 'content'} and time, but other values; keep the right one."
    )
    refused = []
    for i, part in enumerate(parts):
        at = origin[origin[:, 0] == i, 1].tolist()
        for position, raw in zip(at, raw_rows(contract, part.table, at), strict=True):
            row = int(part.table.index[position])
            refused.append(Refused(part.source, row, (Violation(field, "conflict", None, message),), raw))
    return refused


def _hash(entity: str) -> int:
    return int.from_bytes(hashlib.sha256(entity.encode()).digest()[:8])


def _digest(frame: Frame, target: npt.NDArray[np.int8], times: npt.NDArray[Any], hashes: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for name, column in sorted(frame.columns.items()):
        digest.update(f"{name}\n".encode())
        digest.update(np.ascontiguousarray(column).tobytes())
    for part in (target, times.astype(np.int64), hashes):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()

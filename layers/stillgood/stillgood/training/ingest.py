"""From labelled objects under ``data/`` to columns: every row ends accepted, repaired by a stated rule, or refused with
a reason.

``storage/tables`` reads them in chunks, ``validate.py`` holds them against the contract; here they come together, each
row once and in canonical order. Memory is that of the columns: no text of a row is kept.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from stillgood.domain.actions.assignment import GROUPS
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Column, Frame
from stillgood.domain.contract.row_check import Violation
from stillgood.domain.errors import OneClassOnly, TableUnreadable, TooFewRows
from stillgood.storage.tables.opening import open_for
from stillgood.storage.training_data import is_joined, is_plain
from stillgood.training.distinct import distinct
from stillgood.training.reach import Reach
from stillgood.training.refused import Refused
from stillgood.training.validate import LabelledCheck, Part

__all__ = ["Ingested", "Refused", "ingest", "needed_columns", "pieces", "require_enough"]

DUPLICATE = "(row): duplicate dropped"
SUPERSEDED = "(row): corrected by a later label"
ABSENT = "column absent"
type Ints = npt.NDArray[np.int64]
type Data = bytes | Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True, eq=False)
class Ingested:
    """Accepted rows in canonical order: by time, then by the hash of the id, whatever the order of objects and rows.

    ``target`` int8[n], 1 where the outcome is the positive one; ``times`` datetime64[us][n] in UTC; ``hashes``
    uint64[n] of the ids. ``sha256`` is of the accepted rows. Every data row is in ``frame``, in ``refused``, or a
    dropped duplicate. ``origin`` int64[n, 2]: the object of each row, a place in ``sources``, and its row there, from
    1. ``skipped``: objects that were not read, since their rows are older than what is learnt from.
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
    origin: Ints
    sources: Sequence[tuple[str, Data]]
    groups: npt.NDArray[np.uint8]
    skipped: int = 0

    def counts(self) -> dict[str, Any]:
        """JSON-able: what became of objects and rows. A row that breaks several rules counts once under each of
        them.
        """
        rules = Counter(
            f"{violation.field}: {violation.rule}" for refused in self.refused for violation in refused.violations
        )
        whole = sum(row.row is None for row in self.refused)
        return {
            "objects": self.objects,
            **({"older_objects": self.skipped} if self.skipped else {}),
            "accepted": self.frame.n,
            "repaired": dict(sorted(self.repaired.items())),
            "refused": dict(sorted(rules.items())),
            "refused_rows": len(self.refused) - whole,
            "refused_objects": whole,
        }


def needed_columns(contract: Contract) -> list[str]:
    """What a file of labelled rows must have. A feature that may be blank may be absent, too, since older rows lack
    newer columns; it is counted.
    """
    needed = [feature.name for feature in contract.features if not feature.nullable and feature.if_missing is None]
    return [*needed, contract.target.name, *filter(None, (contract.id_column, contract.time_column))]


def ingest(
    contract: Contract,
    objects: Iterable[tuple[str, Data]],
    *,
    latest: datetime | None = None,
    reach: Reach | None = None,
) -> Ingested:
    """Read labelled objects (key, and its bytes or how to stream them). No row may be dated after ``latest`` (aware).

    ``reach``: which objects need not be read; they are to come in its order. Never raises for what they hold.
    """
    files: list[tuple[tuple[str, Data], list[Part]]] = []
    refused: list[Refused] = []
    repaired: Counter[str] = Counter()
    newest, rows = None, 0
    for key, data in objects:
        if reach is not None and reach.skips(key, newest, rows):
            continue
        read, check = _read(contract, key, data, latest)
        files.append(((key, data), read))
        refused += check.refused
        repaired += check.repaired
        rows += sum(map(len, read))
        newest = max(
            [part.times.max() for part in read if len(part)] + ([] if newest is None else [newest]), default=None
        )
    if reach is not None:
        files.sort(key=lambda file: file[0][0].encode())
    sources, parts = [source for source, _ in files], [read for _, read in files]
    del files
    columns, target, ids, times, origin = _together(contract, parts)
    predictions = [prediction for of_object in parts for part in of_object for prediction in part.predictions]
    heard = [moment for of_object in parts for part in of_object for moment in part.heard]
    groups = _groups(contract, [group for of_object in parts for part in of_object for group in part.groups])
    del parts
    hashes = np.fromiter(map(hash_of, ids), np.uint64, len(ids))
    current, superseded = _current(predictions, heard)
    # A joined row is named by its prediction: two predictions of one customer at one time do not contradict each other.
    entities = np.array(
        [hash_of(f"prediction:{made}") if made else entity for made, entity in zip(predictions, hashes, strict=True)],
        np.uint64,
    )
    unnamed = np.fromiter((name.startswith("row:") for name in ids), np.bool_, len(ids))
    kept, dropped, contradicting = _distinct(
        contract, [*columns.values(), target], entities, unnamed, times, origin[:, 0], current
    )
    refused += _conflicts(contract, sources, origin[contradicting], latest)
    repaired += Counter({DUPLICATE: dropped, SUPERSEDED: superseded})
    index = np.flatnonzero(kept)
    index = index[np.lexsort((hashes[index], times[index]))]
    frame = Frame(contract, len(index), {name: column[index] for name, column in columns.items()})
    del columns
    refused.sort(key=lambda row: (row.source, row.row or 0))
    return Ingested(
        frame=frame,
        target=target[index],
        ids=ids[index],
        times=times[index],
        hashes=hashes[index],
        repaired=repaired,
        refused=tuple(refused),
        objects=len(sources),
        sha256=_digest(frame, target[index], times[index], hashes[index], groups[index]),
        origin=origin[index],
        sources=sources,
        groups=groups[index],
        skipped=len(reach.skipped) if reach else 0,
    )


def require_enough(ingested: Ingested, kept: str | None = None) -> None:
    """Raise TooFewRows or OneClassOnly when the rows cannot be learnt from. ``kept``: the key under which refused rows
    are kept.
    """
    rules = ingested.frame.contract
    n, positives = ingested.frame.n, int(ingested.target.sum())
    commonest = Counter(ingested.counts()["refused"]).most_common(3)
    where = f"; see {kept}" if kept else ""
    also = f" Refused: {', '.join(f'{count} by {rule}' for rule, count in commonest)}{where}." if commonest else ""
    if n < rules.training.min_rows:
        raise TooFewRows(
            f"{n} usable labelled rows in {ingested.objects} objects under data/; the contract asks for"
            f" {rules.training.min_rows}. Upload CSV objects to data/<date>/.{also}",
            rows=n,
        )
    if positives in (0, n):
        only = rules.target.positive if positives else rules.target.negative
        raise OneClassOnly(
            f"All {n} labelled rows have {rules.target.name} = {only}; a model needs rows of both outcomes.{also}",
            rows=n,
        )


def _read(contract: Contract, key: str, data: Data, latest: datetime | None) -> tuple[list[Part], LabelledCheck]:
    """The rows of one object. An object that turns out unreadable midway is refused whole: what is left of it is not
    what was sent.
    """
    text, joined = True, is_joined(key)
    contract = _as_written(contract, key)
    try:
        table = open_for(contract, key, pieces(data), needed=needed_columns(contract))
        text = table.text
        check = LabelledCheck(contract, key, text=text, latest=latest, joined=joined)
        parts = [check(chunk) for chunk in table.chunks]
    except TableUnreadable as error:
        check = LabelledCheck(contract, key, text=text, latest=latest)
        check.refused.append(Refused.whole(key, error.rule, error.detail))
        return [], check
    if table.names is not None:
        for feature in contract.features:
            if feature.name not in table.names:
                check.repaired[f"{feature.name}: {ABSENT}"] = sum(map(len, parts))
    return parts, check


def _as_written(contract: Contract, key: str) -> Contract:
    """``contract``, but without its ``source`` for what this project wrote: that is plain CSV."""
    return replace(contract, source=None) if is_plain(key) else contract


def _current(predictions: Sequence[str], heard: Sequence[str]) -> tuple[npt.NDArray[np.bool_], int]:
    """Which rows hold (bool[n]): of those of one prediction the one whose label arrived last. And how many others there
    were.
    """
    newest: dict[str, int] = {}
    for place, made in enumerate(predictions):
        if made and ((before := newest.get(made)) is None or heard[place] > heard[before]):
            newest[made] = place
    current = np.array([not made or newest[made] == place for place, made in enumerate(predictions)], np.bool_)
    return current, int((~current).sum())


def _distinct(
    contract: Contract,
    columns: Sequence[npt.NDArray[Any]],
    entities: npt.NDArray[np.uint64],
    unnamed: npt.NDArray[np.bool_],
    times: npt.NDArray[np.datetime64],
    objects: Ints,
    current: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], int, Ints]:
    """``distinct`` of the rows that hold."""
    at = np.flatnonzero(current)
    kept, dropped, contradicting = distinct(
        [column[at] for column in columns],
        entities[at],
        unnamed[at],
        times[at],
        objects[at],
        dated=contract.time_column is not None,
    )
    every = np.zeros(len(current), np.bool_)
    every[at[kept]] = True
    return every, dropped, at[contradicting]


def pieces(data: Data) -> Iterable[bytes]:
    """The bytes of an object, as often as they are asked for."""
    return [data] if isinstance(data, bytes) else data()


def _together(
    contract: Contract, parts: Sequence[Sequence[Part]]
) -> tuple[dict[str, Column], npt.NDArray[np.int8], npt.NDArray[np.object_], npt.NDArray[np.datetime64], Ints]:
    """The rows of all parts, and ``origin`` int64[n, 2] of each: its object, and its row there."""
    listed = [part for of_object in parts for part in of_object]
    none: dict[str, npt.NDArray[Any]] = {
        feature.name: np.empty(0, np.int32 if feature.categorical else np.float64) for feature in contract.features
    }
    columns = {name: np.concatenate([empty, *(part.columns[name] for part in listed)]) for name, empty in none.items()}
    target = np.concatenate([np.empty(0, np.int8), *(part.target for part in listed)])
    times = np.concatenate([np.empty(0, "datetime64[us]"), *(part.times for part in listed)])
    ids = np.array([entity for part in listed for entity in part.ids], dtype=object)
    places = [
        np.column_stack([np.full(len(part), i), part.numbers])
        for i, of_object in enumerate(parts)
        for part in of_object
    ]
    return columns, target, ids, times, np.concatenate([np.empty((0, 2), np.int64), *places])


def _conflicts(
    contract: Contract, sources: Sequence[tuple[str, Data]], origin: Ints, latest: datetime | None
) -> list[Refused]:
    """Rows that contradict each other, as they stood: their objects are read again for it."""
    message = (
        f"Another row has the same {contract.id_column or 'content'} and time, but other values; keep the right one."
    )
    violation = Violation(contract.id_column or "(row)", "conflict", None, message)
    refused = []
    for place in sorted(set(origin[:, 0].tolist())):
        key, data = sources[place]
        read = _as_written(contract, key)
        rows = set(origin[origin[:, 0] == place, 1].tolist())
        table = open_for(read, key, pieces(data), needed=needed_columns(contract))
        check = LabelledCheck(read, key, text=table.text, latest=latest)
        for chunk in table.chunks:
            for index, number in enumerate(chunk.numbers):
                if number in rows:
                    line = chunk.lines[index] if chunk.lines else None
                    refused.append(Refused(key, number, (violation,), check.raw(chunk, index), line))
    return refused


def hash_of(entity: str) -> int:
    """The first 64 bits of the id's SHA-256."""
    return int.from_bytes(hashlib.sha256(entity.encode()).digest()[:8])


def _groups(contract: Contract, texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """uint8[n], places in ``GROUPS``: all 0 where the contract declares no actions."""
    if contract.control is None:
        return np.zeros(len(texts), np.uint8)
    codes = {name: code for code, name in enumerate(GROUPS)}
    return np.fromiter((codes.get(text, 0) for text in texts), np.uint8, len(texts))


def _digest(
    frame: Frame,
    target: npt.NDArray[np.int8],
    times: npt.NDArray[Any],
    hashes: npt.NDArray[Any],
    groups: npt.NDArray[np.uint8],
) -> str:
    digest = hashlib.sha256()
    for name, column in sorted(frame.columns.items()):
        digest.update(f"{name}\n".encode())
        digest.update(np.ascontiguousarray(column).tobytes())
    extra = (groups,) if groups.any() else ()  # the hashes of rows that nobody acted on stay what they were
    for part in (target, times.astype(np.int64), hashes, *extra):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()

"""forget: remove one entity from every stored row, leave the decision log whole, and name the models that had learnt
from it.

Which objects hold rows is said by ``storage/keys.py``. Three passes: find (nothing is written), record, remove. The
record under ``forgotten/`` says that something was forgotten, not what. It comes before the removal, because a holdout
without a row has other bytes than the decision log names: the audit finds both hashes there, so a forgotten row is told
from a forged file, also after a crash; and it names the objects, whose old versions a crash may have left. Captures are
removed last, since they name the predictions by which all else is found. Removed rows do not come back: monitor would
join captures with labels, and both are gone.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from hashlib import sha256 as hashed
from itertools import pairwise
from operator import itemgetter
from typing import Any, Protocol, runtime_checkable

from stillgood.domain.contract.contract import Contract
from stillgood.domain.errors import InvalidEvent, ObjectNotFound, StillgoodError
from stillgood.steps.ports import Clock
from stillgood.storage.codec import decode_any, encode, sha256
from stillgood.storage.contract import contract_in_force
from stillgood.storage.keys import (
    BATCH_PREFIX,
    CAPTURE_PREFIX,
    DATA_PREFIX,
    FORGOTTEN_PREFIX,
    HOLDOUT,
    HOURS_PREFIX,
    IDEMPOTENCY_PREFIX,
    LABELS_PREFIX,
    METRICS,
    MODELS_PREFIX,
    OUTCOMES_PREFIX,
    OUTPUT_PREFIX,
    QUARANTINE_PREFIX,
    captured_in,
    hour_key,
)
from stillgood.storage.objects import ObjectInfo, ObjectStore
from stillgood.storage.rewriting import Rewritten, rewrite
from stillgood.storage.tables.opening import PARQUET, is_table
from stillgood.storage.windows import iso

_PREDICTIONS, COLUMNS_OF_BATCH = "/predictions.jsonl", "/columns.bin"
# Captures and what batch predicted come first: they name the entity's predictions, which labels and joined rows may
# know by their ids only.
ROW_PREFIXES = (
    CAPTURE_PREFIX,
    OUTPUT_PREFIX,
    HOURS_PREFIX,
    OUTCOMES_PREFIX,
    BATCH_PREFIX,
    IDEMPOTENCY_PREFIX,
    LABELS_PREFIX,
    DATA_PREFIX,
    QUARANTINE_PREFIX,
)
# Where people and ``revoke`` delete rows and write them anew, so that old versions alone may hold some. Outcomes keep
# their records, and hours are purged by the captures they were packed of.
_FORMER_PREFIXES = (BATCH_PREFIX, LABELS_PREFIX, DATA_PREFIX, QUARANTINE_PREFIX)
_ID_NAMES = ("entity_id", "prediction_id")


@runtime_checkable
class KeepsVersions(Protocol):
    """A store that keeps what was overwritten or deleted, as a bucket with versioning does."""

    def purge(self, key: str) -> int:
        """Remove every version of ``key`` but the present one; returns how many."""

    def former(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Key and bytes of what was overwritten or deleted under ``prefix``."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """``objects``: rows removed by key. ``models``: versions that had learnt from the entity, or were judged by it.
    ``record``: its key. ``former``: keys of which old versions alone held rows; those are removed, too.
    """

    objects: Mapping[str, int]
    models: tuple[str, ...]
    record: str | None = None
    unread: tuple[str, ...] = ()
    former: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(self.objects.values())

    @property
    def by_prefix(self) -> Mapping[str, int]:
        """Rows by the first part of the key."""
        counts: Counter[str] = Counter()
        for key, rows in self.objects.items():
            counts[key.split("/")[0] + "/"] += rows
        return counts

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "objects": dict(self.objects),
            "models": list(self.models),
            "record": self.record,
            "unread": list(self.unread),
            "former": list(self.former),
        }


@dataclass(frozen=True, slots=True)
class _Change:
    """``made``: an object without ``rows`` of the entity."""

    made: Rewritten
    rows: int


@dataclass(slots=True)
class _Search:
    """What is looked for, and what was found: ``changed`` by key, ``former`` the keys of which old versions hold
    rows.
    """

    entity: str
    columns: frozenset[str]
    predictions: set[str] = field(default_factory=set)
    changed: dict[str, _Change] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    former: list[str] = field(default_factory=list)

    @property
    def purged(self) -> list[str]:
        """The keys whose old versions go: also of hours that were packed of the captures, and emptied since."""
        captured = (captured_in(key) for key in self.changed if key.startswith(CAPTURE_PREFIX))
        hours = {hour_key(hour) for hour in captured if hour is not None}
        return sorted({*self.changed, *self.former, *hours})

    def names(self, row: Mapping[str, Any]) -> bool:
        """Whether a row, or what it holds of the row as it was sent, is about the entity."""
        if any(str(row[name]).strip() == self.entity for name in self.columns if row.get(name) is not None):
            return True
        if row.get("prediction_id") in self.predictions:
            return True
        inner = row.get("raw")
        return isinstance(inner, Mapping) and self.names(inner)


def forget(store: ObjectStore, entity: str, clock: Clock, *, dry: bool = False) -> Forgotten:
    """Remove every row of ``entity``. ``dry``: only say where it stands. Raises InvalidEvent, StoreUnavailable.

    Run it again after a crash: it removes what is left. ``unread`` names objects that could not be read, and so may
    hold it still.
    """
    if not entity.strip():
        raise InvalidEvent("Name the entity by its id; an empty one would name every row without.")
    if not dry:
        _purge_again(store, clock)
    contract = _contract(store)
    own = {contract.id_column} if contract and contract.id_column else set()
    search = _Search(entity, frozenset({*_ID_NAMES, *own}))
    since: list[date] = []
    for prefix in ROW_PREFIXES:
        for info in store.list(prefix):
            if prefix == BATCH_PREFIX and info.key.startswith(OUTPUT_PREFIX):
                continue
            if not info.key.endswith(COLUMNS_OF_BATCH):
                _search_object(store, info, contract, search)
            if prefix == DATA_PREFIX and info.key in search.changed:
                since.append(_arrived(info))
    models = _search_models(store, search, min(since, default=None))
    _search_columns(store, search)
    _search_former(store, contract, search)
    objects, former = {key: change.rows for key, change in search.changed.items()}, tuple(search.former)
    if dry or not (objects or former):
        return Forgotten(objects, models, None, tuple(search.unread), former)
    record = _record(store, search, models, clock)
    # Captures last: they name the entity's predictions, so that after a crash all else is still found by them.
    for key, change in reversed(search.changed.items()):
        # What somebody else wrote since it was read, such as outcomes that monitor heard, stays.
        rewrite(store, key, partial(_left, key, contract, search), change.made)
    # Hours that monitor packed meanwhile, of captures that it had read before (``steps/monitor/hours.py``).
    for key in search.purged:
        with suppress(ObjectNotFound):
            if key.startswith(HOURS_PREFIX) and _without_lines(store.get(key).data, search)[1]:
                store.put(key, b"")
        if isinstance(store, KeepsVersions):
            store.purge(key)
    return Forgotten(objects, models, record, tuple(search.unread), former)


def _purge_again(store: ObjectStore, clock: Clock) -> None:
    """Remove old versions that a crash may have left in the last two days: the objects themselves tell nothing any
    more.
    """
    if not isinstance(store, KeepsVersions):
        return
    since = f"{FORGOTTEN_PREFIX}{clock() - timedelta(days=2):%Y-%m-%d}"
    for info in store.list(FORGOTTEN_PREFIX, since):
        for key in decode_any(store.get(info.key).data, what=info.key).get("objects", ()):
            store.purge(str(key))


def _search_object(store: ObjectStore, info: ObjectInfo, contract: Contract | None, search: _Search) -> None:
    stored = store.get(info.key)
    data = stored.data
    sought = [search.entity, *search.predictions]
    if not _may_hide(info.key, data) and not any(text.encode() in data for text in sought):
        return
    try:
        left, rows = _without(info.key, data, contract, search)
    except (StillgoodError, ValueError) as error:
        # An object that cannot be read cannot be searched, so its key is reported.
        search.unread.append(f"{info.key}: {error}")
        return
    if rows:
        search.changed[info.key] = _Change(Rewritten(left, stored.etag), rows)


def _search_former(store: ObjectStore, contract: Contract | None, search: _Search) -> None:
    """Old versions that hold rows where the present one, if there is one, does not."""
    if not isinstance(store, KeepsVersions):
        return
    for prefix in _FORMER_PREFIXES:
        for key, data in store.former(prefix):
            if key in search.changed or key in search.former:
                continue
            try:
                rows = _without(key, data, contract, search)[1]
            except (StillgoodError, ValueError) as error:
                search.unread.append(f"an old version of {key}: {error}")
                continue
            if rows:
                search.former.append(key)


def _search_columns(store: ObjectStore, search: _Search) -> None:
    """The features that batch kept by column of rows that its predictions lose: they have no ids, only rows'
    numbers.
    """
    for key, change in list(search.changed.items()):
        columns = key.removesuffix(_PREDICTIONS) + COLUMNS_OF_BATCH
        if not key.startswith(OUTPUT_PREFIX) or not key.endswith(_PREDICTIONS):
            continue
        from stillgood.storage.batch_capture import without_rows  # NumPy, which no other place needs

        before = {json.loads(line)["row"] for line in store.get(key).data.splitlines()}
        after = {json.loads(line)["row"] for line in change.made.data.splitlines()}
        with suppress(ObjectNotFound):
            stored = store.get(columns)
            left, rows = without_rows(stored.data, before - after)
            search.changed[columns] = _Change(Rewritten(left, stored.etag), rows)


def _may_hide(key: str, data: bytes) -> bool:
    """Whether the entity's letters may stand in other bytes: packed, in another encoding, escaped."""
    return key.lower().endswith((".gz", *PARQUET)) or not data.isascii() or b"\0" in data or b"\\u" in data


def _without(key: str, data: bytes, contract: Contract | None, search: _Search) -> tuple[bytes, int]:
    """The object without the entity's rows, and how many those are."""
    if key.startswith(OUTCOMES_PREFIX):
        from stillgood.storage.outcomes import without  # NumPy, which no other place needs

        return without(data, [search.entity, *search.predictions])
    if key.startswith(HOURS_PREFIX):  # a cache of captures: monitor makes it anew of what is left
        rows = _without_lines(data, search)[1]
        return (b"" if rows else data), rows
    if (key.endswith(".jsonl") and not key.startswith((DATA_PREFIX, BATCH_PREFIX))) or key.startswith(OUTPUT_PREFIX):
        return _without_lines(data, search)
    if not is_table(key):
        return data, 0
    if key.lower().endswith(PARQUET):
        return _without_parquet(data, search)
    return _without_text(key, data, contract, search)


def _left(key: str, contract: Contract | None, search: _Search, data: bytes) -> bytes | None:
    """The object without the entity's rows; None where it has none."""
    left, rows = _without(key, data, contract, search)
    return left if rows else None


def _without_lines(data: bytes, search: _Search) -> tuple[bytes, int]:
    kept, rows = [], 0
    for line in data.splitlines(keepends=True):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = {}
        if isinstance(row, dict) and search.names(row):
            rows += 1
            if row.get("kind") == "prediction" or "probability" in row:
                search.predictions.add(str(row.get("prediction_id")))
        else:
            kept.append(line)
    return b"".join(kept), rows


def _without_text(key: str, data: bytes, contract: Contract | None, search: _Search) -> tuple[bytes, int]:
    """A delimited or JSON Lines file: every other line stays as it stands."""
    from stillgood.storage.tables.bytes_in import GZIP, as_utf8
    from stillgood.storage.tables.opening import open_table

    source = contract.source if contract else None
    encoding = source.encoding if source else None
    lines = b"".join(as_utf8([data], encoding)).split(b"\n")
    starts: dict[int, bool] = {}  # line on which a row begins, from 1 -> whether it is the entity's
    for chunk in open_table(key, [data], source=source).chunks:
        for index in range(len(chunk.numbers)):
            starts[chunk.lines[index]] = search.names(chunk.row(index))
        for bad in chunk.unreadable:
            if bad.line is not None:
                starts[bad.line] = search.entity in bad.raw
    begin = sorted(starts)
    gone: set[int] = set()
    for line, following in pairwise([*begin, len(lines) + 1]):
        if starts[line]:
            gone |= set(range(line, following))
    rows = sum(starts.values())
    if rows == len(starts) and rows:
        return b"", rows
    left = b"\n".join(text for number, text in enumerate(lines, 1) if number not in gone)
    if gone and not left.endswith(b"\n") and data.endswith(b"\n"):
        left += b"\n"
    if encoding and encoding.lower().replace("_", "-") not in ("utf-8", "utf-8-sig"):
        left = left.decode().encode(encoding)
    if data.startswith(GZIP):
        import gzip

        left = gzip.compress(left, mtime=0)
    return left, rows


def _without_parquet(data: bytes, search: _Search) -> tuple[bytes, int]:
    import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
    import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it ships no types

    table = pq.read_table(pa.BufferReader(data))
    names = [name for name in table.column_names if name in search.columns]
    columns = [[None if value is None else str(value) for value in table.column(name).to_pylist()] for name in names]
    mask = [search.names(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
    rows = sum(mask)
    if not rows:
        return data, 0
    if rows == len(mask):
        return b"", rows
    sink = pa.BufferOutputStream()
    pq.write_table(table.filter(pa.array([not named for named in mask])), sink)
    return sink.getvalue().to_pybytes(), rows


def _search_models(store: ObjectStore, search: _Search, since: date | None) -> tuple[str, ...]:
    """Rows that the gate keeps of the entity, and the versions that were trained while its rows were there."""
    digest = int.from_bytes(hashed(search.entity.encode()).digest()[:8])
    touched: set[str] = set()
    for info in store.list(MODELS_PREFIX):
        version, _, name = info.key.removeprefix(MODELS_PREFIX).partition("/")
        if name == HOLDOUT:
            stored = store.get(info.key)
            raw = decode_any(stored.data, what=info.key)
            at = [place for place, entity in enumerate(raw.get("entities") or ()) if int(entity, 16) == digest]
            if at:
                left = encode(_without_places(raw, set(at)))
                search.changed[info.key] = _Change(Rewritten(left, stored.etag), len(at))
                touched.add(version)
        elif name == METRICS and since is not None:
            trained = decode_any(store.get(info.key).data, what=info.key).get("trained_at")
            if isinstance(trained, str) and trained[:10] >= since.isoformat():
                touched.add(version)
    return tuple(sorted(touched))


def _without_places(raw: dict[str, Any], gone: set[int]) -> dict[str, Any]:
    """A stored holdout without the rows at some positions: every list as long as the rows loses them."""
    rows = len(raw["target"])

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: cut(part) for name, part in value.items()}
        if isinstance(value, list) and len(value) == rows:
            return [part for place, part in enumerate(value) if place not in gone]
        return value

    made: dict[str, Any] = cut(raw)
    made["frame"]["rows"] = rows - len(gone)
    return made


def _record(store: ObjectStore, search: _Search, models: Iterable[str], clock: Clock) -> str:
    """Write down that something was forgotten. Of a holdout, what it was and what it is now: the log names the
    former.
    """
    now = iso(clock())
    replaced = [
        {"key": key, "before": sha256(store.get(key).data), "after": sha256(change.made.data)}
        for key, change in sorted(search.changed.items(), key=itemgetter(0))
        if key.startswith(MODELS_PREFIX)
    ]
    counts: Counter[str] = Counter()
    for key, change in search.changed.items():
        counts[key.split("/")[0] + "/"] += change.rows
    record = {
        "format": "stillgood.forgotten",
        "format_version": 1,
        "at": now,
        "rows": dict(counts),
        "models": list(models),
        "objects": [key for key in search.purged if search.entity not in key],
        "replaced": replaced,
    }
    data = encode(record)
    key = f"{FORGOTTEN_PREFIX}{now[:10]}-{sha256(data)[:16]}.json"
    store.put(key, data)
    return key


def _contract(store: ObjectStore) -> Contract | None:
    try:
        return contract_in_force(store)
    except (InvalidEvent, ObjectNotFound):
        return None


def _arrived(info: ObjectInfo) -> date:
    """The day under which an object lies, else that of its last change."""
    for part in info.key.split("/")[1:-1]:
        try:
            return date.fromisoformat(part.rpartition("=")[2])
        except ValueError:
            continue
    return info.modified.date()

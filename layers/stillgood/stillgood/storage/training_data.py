"""What is there to learn from: the labelled rows under ``data/``, by listing, without parsing them."""

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from stillgood.domain.errors import DocumentUnusable, ObjectNotFound, TableUnreadable
from stillgood.storage.codec import decode, encode
from stillgood.storage.keys import COUNTED_KEY, DATA_PREFIX, SOURCES, artifact_key
from stillgood.storage.objects import ObjectInfo, ObjectStore
from stillgood.storage.tables.bytes_in import unpacked
from stillgood.storage.tables.opening import JSON_LINES, PARQUET, is_table

# Enough to say "plenty": counting goes no further, so that a first upload of millions of rows costs a moment.
COUNTED_AT_MOST = 100_000
# Columns of the rows that monitor joins from captures and labels, beside the contract's.
PREDICTION_ID, PREDICTED_AT, LABEL_ARRIVED_AT = "prediction_id", "predicted_at", "label_arrived_at"
ACTION_GROUP = "action_group"  # there where the contract declares actions
_JOINED = re.compile(r"(?:^|/)labels-[0-9a-f]{32}\.csv")
_MENDED = re.compile(r"(?:^|/)mended-[0-9a-f]{32}\.csv")
_DAY = re.compile(
    r"(?:^|/)(?:(?:dt|date|day)=)?(\d{4})-?(\d{2})-?(\d{2})/|(?:^|/)(\d{4})/(\d{2})/(\d{2})/|(?:^|/)year=(\d{4})/month=(\d{1,2})/day=(\d{1,2})/"
)
COUNTED_FORMAT = "stillgood.counted-rows"
_PACKED_ROW = 20  # bytes a row of Parquet takes at most, for all that matters here


def joined_key(day: date, data: bytes) -> str:
    """The key of rows joined from the captures of ``day``: their content names them, so a retry writes the same
    object.
    """
    return f"{DATA_PREFIX}{day}/labels-{hashlib.sha256(data).hexdigest()[:32]}.csv"


def is_joined(key: str) -> bool:
    """Whether monitor wrote the object, with the columns above.

    >>> is_joined(joined_key(date(2026, 11, 1), b"")), is_joined("data/2026-11-01/labels-of-may.csv")
    (True, False)
    """
    return _JOINED.search(key) is not None


def is_plain(key: str) -> bool:
    """Whether this project wrote the object, joined or mended: plain CSV whatever ``source`` the contract names."""
    return is_joined(key) or _MENDED.search(key) is not None


def day_of(key: str) -> date | None:
    """The day in an object's key, whatever the layout of its folders; None where there is none.

    >>> day_of("data/dt=2026-11-01/a.csv"), day_of("data/2026/11/01/a.csv"), day_of("data/a.csv")
    (datetime.date(2026, 11, 1), datetime.date(2026, 11, 1), None)
    """
    for match in _DAY.finditer(key):
        year, month, day = (int(part) for part in match.groups() if part is not None)
        with suppress(ValueError):  # such as the 31st of February
            return date(year, month, day)
    return None


@dataclass(frozen=True, slots=True)
class LabelledData:
    """``sha256`` names all labelled objects (their keys and ETags); ``new_rows`` is counted up to
    ``COUNTED_AT_MOST``.
    """

    sha256: str
    new_rows: int


def source_name(info: ObjectInfo) -> str:
    """Names one state of an object under ``data/`` by what a copy to another bucket keeps: size and key."""
    return f"{info.size} {info.key}"


def sources(version: str, names: Iterable[str]) -> bytes:
    """The ``sources.json`` of a version that read the objects of these names."""
    return encode({"format": "stillgood.sources", "format_version": 1, "version": version, "read": sorted(set(names))})


def sources_of(store: ObjectStore, version: str) -> frozenset[str] | None:
    """The objects that a version learnt from; None for one that was trained before that was written down."""
    key = artifact_key(version, SOURCES)
    try:
        raw = decode(store.get(key).data, format="stillgood.sources", what=key)
        return frozenset(map(str, raw["read"]))
    except (ObjectNotFound, DocumentUnusable, KeyError, TypeError):
        return None


def labelled_data(store: ObjectStore, known: frozenset[str] | date) -> LabelledData:
    """Of all objects under ``data/``; new rows are lines after the header in objects that are not ``known``.

    ``known``: the objects that the champion learnt from; without a record of them, the day until which its rows reach:
    what lies in the folder of a later day is new. Times of objects say nothing, as a copy of the bucket changes them.

    A line break inside quotes counts as a row, and of Parquet the bytes tell: this is how much there is to learn, not
    what ingestion will accept. An object that cannot be unpacked has no rows. Each state of an object is read for this
    once: what was counted is kept until the champion has learnt from it.
    """
    digest, rows = hashlib.sha256(), 0
    before, now = _counted(store), dict[str, int]()
    for info in store.list(DATA_PREFIX):
        if not is_table(info.key):
            continue
        digest.update(f"{info.key}\n{info.etag}\n".encode())
        if isinstance(known, date):
            day = day_of(info.key)
            new = day is not None and day > known
        else:
            new = source_name(info) not in known
        if new and rows < COUNTED_AT_MOST:
            if info.key.lower().endswith(PARQUET):
                rows += info.size // _PACKED_ROW
                continue
            name = f"{info.etag} {source_name(info)}"
            now[name] = before[name] if name in before else _rows(store, info.key)
            rows += now[name]
    if now != before:
        store.put(COUNTED_KEY, encode({"format": COUNTED_FORMAT, "format_version": 1, "rows": now}))
    return LabelledData(digest.hexdigest(), min(rows, COUNTED_AT_MOST))


def _counted(store: ObjectStore) -> dict[str, int]:
    """What was counted of which state of an object; nothing where that is lost or damaged."""
    try:
        raw = decode(store.get(COUNTED_KEY).data, format=COUNTED_FORMAT, what=COUNTED_KEY)
        return {str(name): int(rows) for name, rows in raw["rows"].items()}
    except (ObjectNotFound, DocumentUnusable, KeyError, TypeError, ValueError, AttributeError):
        return {}


def _rows(store: ObjectStore, key: str) -> int:
    lines, last = 0, b"\n"
    try:
        for part in unpacked(store.stream(key)):
            lines += part.count(b"\n")
            last = part[-1:] or last
            if lines > COUNTED_AT_MOST:
                break
    except TableUnreadable:
        return 0
    header = not key.lower().removesuffix(".gz").endswith(JSON_LINES)
    return max(lines + (last != b"\n") - header, 0)

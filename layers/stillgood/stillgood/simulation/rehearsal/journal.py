"""What a policy has played so far, in a file: one record a window. An interruption costs the window it falls in.

A record is what changed: its cost does not grow with what is stored already. Beside the objects it holds the driver's
own memory (the time, labels on their way) and the window's figures. A record that was not finished is cut off.
"""

import json
import zlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from stillgood.simulation.clock import VirtualClock
from stillgood.simulation.driver import Driver
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import Stored

_LENGTH = 8  # bytes before each record


class RecordingStore(MemoryObjectStore):
    """A store in memory that knows what changed since it was last asked."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self._changed: dict[str, None] = {}

    def delete(self, key: str) -> None:
        super().delete(key)
        self._changed[key] = None

    def changes(self) -> dict[str, tuple[bytes, datetime] | None]:
        """By key: bytes and time of writing, None for what was deleted; since the last call."""
        with self._lock:
            changes: dict[str, tuple[bytes, datetime] | None] = {}
            for key in self._changed:
                present = self._objects.get(key)
                changes[key] = None if present is None else (present[0].data, present[1])
            self._changed = {}
        return changes

    def restore(self, changes: Mapping[str, tuple[bytes, datetime] | None]) -> None:
        """Make ``changes`` again, with their times of writing."""
        for key, change in changes.items():
            if change is None:
                super().delete(key)
                continue
            etag = super()._write(key, change[0])
            with self._lock:
                self._objects[key] = (Stored(change[0], etag), change[1])

    def _write(self, key: str, data: bytes) -> str:
        self._changed[key] = None
        return super()._write(key, data)


class _Record(msgspec.Struct):
    objects: dict[str, tuple[bytes, datetime] | None]
    driver: bytes
    row: bytes


class Journal:
    """The file of one policy. ``path`` may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder = msgspec.msgpack.Decoder(_Record)

    def resume(self, driver: Driver, store: RecordingStore) -> list[dict[str, Any]]:
        """Bring ``driver`` to where the last whole record left it.

        Returns the figures of the windows that were played; with none the driver has not begun.
        """
        rows: list[dict[str, Any]] = []
        last: _Record | None = None
        end = 0
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return rows
        while end + _LENGTH <= len(content):
            length = int.from_bytes(content[end : end + _LENGTH], "big")
            piece = content[end + _LENGTH : end + _LENGTH + length]
            if len(piece) < length:
                break
            try:
                last = self._decoder.decode(zlib.decompress(piece))
            except (zlib.error, msgspec.MsgspecError):
                break
            store.restore(last.objects)
            rows.append(json.loads(last.row))
            end += _LENGTH + length
        with self._path.open("r+b") as file:
            file.truncate(end)
        if last is not None:
            driver.resume(json.loads(last.driver))
            store.changes()
        return rows

    def append(self, driver: Driver, store: RecordingStore, row: Mapping[str, Any]) -> None:
        """Record a window that was played."""
        record = _Record(store.changes(), json.dumps(driver.memory()).encode(), json.dumps(row).encode())
        piece = zlib.compress(msgspec.msgpack.encode(record), level=1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(len(piece).to_bytes(_LENGTH, "big") + piece)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

"""Damaged and hostile files of every format through the one reader: each is read or refused by name, in little memory.

Readers of binary formats run in processes of their own (``storage/tables/apart.py``). So that ten thousand files take
minutes, those processes are forked from this one here in place of being started anew; limits and code are the same.
"""

import gzip
import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from openpyxl import Workbook
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import StillgoodError
from stillgood.storage.tables import apart, parquet_reader, xlsx_reader
from stillgood.storage.tables.opening import open_for
from stillgood.storage.tables.xlsx import as_csv

MEMORY_MB = 400
CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "shop",
        "version": "1",
        "id": "customer",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "age", "kind": "integer"},
            {"name": "spent", "kind": "numeric"},
            {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"]},
        ],
    }
)
_READERS = {
    "stillgood.storage.tables.parquet_reader": parquet_reader.read,
    "stillgood.storage.tables.xlsx_reader": xlsx_reader.read,
}


class Forked:
    """What ``apart.start`` returns, but forked; ``peak_mb`` of the last one that ended."""

    peak_mb = 0.0

    def __init__(self, module: str, wish: str, file: IO[bytes], errors: IO[bytes]) -> None:
        ours, theirs = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(ours)
                for fd, place in ((file.fileno(), 0), (theirs, 1), (errors.fileno(), 2)):
                    os.dup2(fd, place)
                sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False))  # noqa: SIM115
                sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False))  # noqa: SIM115
                status = apart.serve(_READERS[module], wish)
                sys.stdout.flush()
            except BaseException:
                status = 99
            os._exit(status)
        os.close(theirs)
        self.stdout = os.fdopen(ours, "rb")

    def wait(self) -> int:
        if self.returncode is None:
            _, status, used = os.wait4(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
            Forked.peak_mb = max(Forked.peak_mb, used.ru_maxrss / 1024)
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, 9)


def rows(count: int, random_: random.Random) -> list[dict[str, Any]]:
    """Rows of the contract."""
    return [
        {"customer": f"c{number}", "age": random_.randrange(18, 90), "spent": random_.random() * 100, "plan": "plus"}
        for number in range(count)
    ]


def good(kind: str, random_: random.Random) -> bytes:
    """A file that can be read."""
    table = rows(random_.randrange(1, 120), random_)
    match kind:
        case "csv" | "gzip":
            lines = [",".join(table[0]), *(",".join(map(str, row.values())) for row in table)]
            text = "\n".join(lines).encode()
            return text if kind == "csv" else gzip.compress(text)
        case "jsonl":
            return b"\n".join(map(orjson.dumps, table))
        case "parquet":
            out = io.BytesIO()
            packed = random_.choice(["none", "snappy", "gzip", "zstd"])
            pq.write_table(pa.Table.from_pylist(table), out, compression=packed, row_group_size=50)
            return out.getvalue()
    book = Workbook()
    sheet: Any = book.active
    sheet.append(list(table[0]))
    for row in table:
        sheet.append(list(row.values()))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def damaged(data: bytes, kind: str, random_: random.Random) -> bytes:
    """``data`` as transport, disks and people damage it; of Parquet often in the footer, of a workbook in its XML."""
    if kind == "xlsx" and random_.random() < 0.7:
        return _other_part(data, random_)
    changed = bytearray(data)
    end = len(changed)
    footer = max(end - 8 - int.from_bytes(changed[-8:-4], "little"), 0) if kind == "parquet" else 0
    for _ in range(random_.choice([1, 1, 2, 5, 40])):
        start = footer if footer and random_.random() < 0.6 else 0
        place = random_.randrange(min(start, len(changed)), max(len(changed), start + 1)) if changed else 0
        match random_.randrange(6):
            case 0 if place < len(changed):
                changed[place] ^= 1 << random_.randrange(8)
            case 1 if place < len(changed):
                changed[place] = random_.choice([0, 0xFF, 0x7F, 0x80, random_.randrange(256)])
            case 2:
                changed[place:place] = random_.randbytes(random_.randrange(1, 20))
            case 3:
                del changed[place : place + random_.randrange(1, 40)]
            case 4:
                changed[place : place + 10] = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # the largest varint
            case _ if random_.random() < 0.1:
                del changed[place:]
    if kind == "parquet" and random_.random() < 0.7:  # so that more of it is looked at than the end
        body = max(min(footer, len(changed) - 9), 4)
        changed[:4] = b"PAR1"
        changed[-8:] = struct.pack("<I", max(len(changed) - 8 - body, 0)) + b"PAR1"
    return bytes(changed)


def _other_part(data: bytes, random_: random.Random) -> bytes:
    """A workbook, one part of which says other things; the archive itself is whole."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = random_.choice(sorted(parts))
    part = bytearray(parts[name])
    for _ in range(random_.choice([1, 3, 20])):
        place = random_.randrange(len(part))
        match random_.randrange(4):
            case 0:
                part[place] = random_.randrange(256)
            case 1:
                del part[place : place + random_.randrange(1, 30)]
            case 2:
                part[place:place] = random_.choice([b'r="XFD1048576"', b"<row>", b"&#0;", b"9" * 400, b"</c>"])
            case _:
                part[place:place] = part[: random_.randrange(1, 200)]
    parts[name] = bytes(part)
    return _archive(parts)


def _archive(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return out.getvalue()


def hostile(kind: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Bombs of a kind, each with a name and what makes it."""
    match kind:
        case "csv":
            yield "one line of 100 MB", lambda: HEADER + b"x" * 100_000_000
            yield "a header of 500,000 names", lambda: b",".join(b"n%d" % n for n in range(500_000)) + b"\n"
            yield "a quote that never ends", lambda: HEADER + b'"' + b"x,1,2,plus\n" * 2_000_000
            yield "nothing but quotes", lambda: HEADER + b'"' * 20_000_000
            yield "ten million blank lines", lambda: HEADER + b"\n" * 10_000_000
            yield "rows of 200,000 cells", lambda: HEADER + (b"," * 200_000 + b"\n") * 100
        case "gzip":
            yield "1.2 GB of one row", lambda: _packed(b"c1,1,2,plus\n", 100_000_000)
            yield "2 GB without a line's end", lambda: _packed(b"xxxxxxxxxxxx", 180_000_000)
            yield "a hundred thousand members", lambda: gzip.compress(b"c1,1,2,plus\n") * 100_000
        case "jsonl":
            yield "nested 10,000,000 deep", lambda: b'{"age":' * 10_000_000
            yield "one line of 100 MB", lambda: b'{"customer": "' + b"x" * 100_000_000 + b'"}'
            yield "a row of 100,000 keys", lambda: b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}\n"
            yield "numbers of 100,000 digits", lambda: b'{"age":' + b"9" * 100_000 + b"}\n" + b'{"age":1e999999}\n'
            yield "keys that differ in every row", lambda: b"\n".join(b'{"k%d":1}' % n for n in range(300_000))
        case "parquet":
            yield "5,000,000 rows of nothing", lambda: _parquet(pa.table({"age": pa.nulls(5_000_000, pa.int64())}))
            yield "a column of long texts beside", lambda: _parquet(pa.table({**_ROW, "blob": ["z" * 50_000_000]}))
            yield "one text of 50 MB", lambda: _parquet(pa.table({**_ROW, "plan": ["z" * 50_000_000]}))
            yield (
                "a text of 50 MB, ten times",
                lambda: _parquet(
                    pa.table({name: value * 10 for name, value in {**_ROW, "plan": ["z" * 50_000_000]}.items()})
                ),
            )
            yield "180 MB of different texts", lambda: _long_texts(9_000)
            yield "1 GB of different texts", lambda: _long_texts(50_000)
            yield "20,000 columns", lambda: _parquet(pa.table({f"f{n}": [1] for n in range(20_000)}))
            yield "lists in lists", lambda: _parquet(pa.table({**_ROW, "age": pa.array([None], _deep())}))
        case "xlsx":
            yield (
                "a cell in the last row",
                lambda: _sheet(
                    lambda text: text.replace(
                        b"</sheetData>", b'<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>'
                    )
                ),
            )
            yield (
                "a cell in the last column",
                lambda: _sheet(lambda text: text.replace(b"</row>", b'<c r="XFD1"><v>1</v></c></row>', 1)),
            )
            yield (
                "a sheet that says it is full",
                lambda: _sheet(lambda text: text.replace(b'ref="A1', b'ref="A1:XFD1048576" x="', 1)),
            )
            yield "a gigabyte of zeros", lambda: _sheet(lambda _: b"0" * 1_100_000_000)
            yield "a billion laughs", lambda: _texts(_laughs() + _SST + b"<si><t>&i;</t></si></sst>")
            yield "63 MB of shared texts", lambda: _texts(_SST + b"<si><t>a</t></si>" * 3_700_000 + b"</sst>")
            yield "100,000 parts", lambda: _archive({**_parts(), **{f"xl/media/{n}": b"" for n in range(100_000)}})


HEADER = b"customer,age,spent,plan\n"
_ROW: dict[str, Any] = {"customer": ["a"], "age": [1], "spent": [1.0], "plan": ["plus"]}
_SST = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'


def _long_texts(count: int) -> bytes:
    """Different texts of 20 kB each, in one row group."""
    texts = pa.array([f"{n:010}" * 2_000 for n in range(count)], pa.large_string())
    table = {"customer": texts, "age": list(range(count)), "spent": [1.0] * count, "plan": ["plus"] * count}
    return _parquet(pa.table(table), use_dictionary=False)


def _deep() -> Any:
    kind: Any = pa.int64()
    for _ in range(60):
        kind = pa.list_(kind)
    return kind


def _laughs() -> bytes:
    text = b'<!DOCTYPE l [<!ENTITY a "' + b"ha" * 50 + b'">'
    for name, other in zip("abcdefgh", "bcdefghi", strict=True):
        text += f'<!ENTITY {other} "{f"&{name};" * 10}">'.encode()
    return text + b"]>"


def _parts() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(good("xlsx", random.Random(1)))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _sheet(change: Callable[[bytes], bytes]) -> bytes:
    parts = _parts()
    name = next(name for name in parts if "/worksheets/" in name)
    return _archive({**parts, name: change(parts[name])})


def _texts(shared: bytes) -> bytes:
    return _archive({**_parts(), "xl/sharedStrings.xml": shared})


def _packed(text: bytes, times: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packing:
        packing.write(b"customer,age,spent,plan\n")
        block = text * 100_000
        for _ in range(times // 100_000):
            packing.write(block)
    return out.getvalue()


def _parquet(table: Any, **named: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", row_group_size=10_000_000, **named)
    return out.getvalue()


SUFFIX = {"csv": ".csv", "gzip": ".csv.gz", "jsonl": ".jsonl", "parquet": ".parquet"}


def outcome(kind: str, data: bytes) -> tuple[str, int]:
    """ "read", "refused", or the name of what escaped; and how many rows came out, readable or not."""
    count = 0
    try:
        if kind == "xlsx":
            with tempfile.NamedTemporaryFile(suffix=".xlsx") as file:
                file.write(data)
                file.flush()
                table = open_for(CONTRACT, "a.csv", as_csv(Path(file.name)))
                count = sum(len(chunk.numbers) + len(chunk.unreadable) for chunk in table.chunks)
        else:
            pieces = (data[at : at + 1_000_000] for at in range(0, len(data), 1_000_000))
            table = open_for(CONTRACT, f"a{SUFFIX[kind]}", pieces)
            count = sum(len(chunk.numbers) + len(chunk.unreadable) for chunk in table.chunks)
    except StillgoodError:
        return "refused", count
    except Exception as error:
        return f"escaped: {type(error).__name__}: {str(error)[:200]}", count
    return "read", count


def peak_mb() -> float:
    """The most memory this process held since ``forget_peak``, in MB."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM"))) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def run(kind: str, count: int, seed: int = 0, *, bombs: bool = True) -> dict[str, Any]:
    """Read ``count`` damaged files of ``kind``, then its bombs; what became of them, and the memory that it took.

    ``peak_mb`` is this process's with the file itself, and that of the largest process that read.
    """
    readers: Any = apart
    start_before = readers.start
    readers.start = Forked
    Forked.peak_mb = 0.0
    try:
        random_ = random.Random(f"{seed} {kind}")
        bases = [good(kind, random_) for _ in range(20)]
        forget_peak()
        outcomes: Counter[str] = Counter()
        slowest = 0.0
        for _ in range(count):
            data = damaged(random_.choice(bases), kind, random_)
            began = time.process_time()
            outcomes[outcome(kind, data)[0]] += 1
            slowest = max(slowest, time.process_time() - began)
        own, others = peak_mb(), Forked.peak_mb
        figures: dict[str, Any] = {"files": count, "outcomes": dict(outcomes), "peak_mb": round(max(own, others), 1)}
        figures |= {"slowest_cpu_s": round(slowest, 2), "bombs": _bombs(kind) if bombs else {}}
    finally:
        readers.start = start_before
    return figures


def _bombs(kind: str) -> dict[str, Any]:
    """Each in a process of its own, so that its memory is its own, but for the file as it was sent; and so is that of
    the process that reads.
    """
    return {name: _alone(kind, make) for name, make in hostile(kind)}


def _alone(kind: str, make: Callable[[], bytes]) -> dict[str, Any]:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        data = make()
        with tempfile.NamedTemporaryFile() as peak:
            readers: Any = apart
            readers.start = partial(_measured, peak.name)
            forget_peak()
            before, began = peak_mb(), time.monotonic()
            said, count = outcome(kind, data)
            # The file lies in memory here, as it does not in a step, which streams it.
            line: dict[str, Any] = {"outcome": said, "rows": count, "grown_mb": round(peak_mb() - before, 1)}
            line |= {"reader_mb": round(float(peak.read() or 0), 1), "bytes": len(data)}
            line |= {"seconds": round(time.monotonic() - began, 1)}
        os.write(theirs, orjson.dumps(line))
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        answer: dict[str, Any] = orjson.loads(file.read() or b'{"outcome": "escaped: the process died"}')
    os.waitpid(pid, 0)
    return answer


def _measured(peak: str, module: str, wish: str, file: IO[bytes], errors: IO[bytes]) -> Any:
    """``apart.start``, but the process writes down its own peak at the end, if it comes to one."""
    code = (
        f"import sys; from stillgood.storage.tables import apart; from {module} import read; status ="
        " apart.serve(read, sys.argv[1]); text = open('/proc/self/status').read(); peak ="
        f" int(text.split('VmHWM:')[1].split()[0]) / 1024; open({peak!r}, 'w').write(str(peak)); sys.exit(status)"
    )
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, wish], stdin=file, stdout=subprocess.PIPE, stderr=errors, env=environment
    )

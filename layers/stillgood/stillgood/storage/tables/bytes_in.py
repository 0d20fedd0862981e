"""The bytes of an object as UTF-8 text: unpacked, converted from its encoding, with line ends that every reader
knows.
"""

import codecs
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from stillgood.domain.errors import TableUnreadable

GZIP = b"\x1f\x8b"
PIECE_BYTES = 512 * 1024
# Text of rows packs 3 to 20 times, and hardly ever 100 times. A small object that unpacks to gigabytes is a mistake, or
# meant to do harm.
MAX_UNPACKED_RATIO, RATIO_FROM_BYTES = 300, 64 * 1024 * 1024
MAX_UNPACKED_BYTES = 16 * 1024**3
_SNIFFED = 64 * 1024
_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")


def as_utf8(data: Iterable[bytes], encoding: str | None = None) -> Iterator[bytes]:
    """``data`` in pieces of UTF-8, without a byte order mark, whatever it was packed or encoded in.

    A byte order mark wins over ``encoding``; without either the bytes are passed on as they are, and must be UTF-8.
    Lone carriage returns become line ends where they are the only ones. Raises TableUnreadable, by name, for what
    cannot be unpacked or decoded.
    """
    encoding = (encoding or "utf-8").lower().replace("_", "-")
    pieces = _filled(unpacked(data), _SNIFFED)
    head = next(pieces, b"")
    wide = _WIDE.get(head[:2])
    if wide is None and encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        wide = "utf-16-be" if encoding == "utf-16-be" else "utf-16-le"
    if wide:
        whole = _decoded(
            chain([head.removeprefix(codecs.BOM_UTF16_LE).removeprefix(codecs.BOM_UTF16_BE)], pieces), wide
        )
    elif encoding in ("cp1252", "latin-1", "iso-8859-1") and not head.startswith(codecs.BOM_UTF8):
        whole = _decoded(chain([head], pieces), "cp1252")
    else:
        if head.count(0) > len(head) // 8:  # every second byte of UTF-16; a single one costs its line only
            raise TableUnreadable(
                "it holds NUL characters. Save it as UTF-8, or name its encoding in the contract: source.encoding, such"
                " as utf-16.",
                rule="encoding",
            )
        whole = chain([head.removeprefix(codecs.BOM_UTF8)], pieces)
    yield from _line_ends(whole)


def unpacked(data: Iterable[bytes]) -> Iterator[bytes]:
    """``data``, unpacked if it is gzip by its first bytes, in pieces of at most ``PIECE_BYTES``. Raises
    TableUnreadable.
    """
    pieces = _filled(iter(data), 2)
    head = next(pieces, b"")
    if not head.startswith(GZIP):
        for piece in chain([head], pieces):
            for start in range(0, len(piece), PIECE_BYTES):
                yield piece[start : start + PIECE_BYTES]
        return
    taken = size = 0
    machine = zlib.decompressobj(wbits=31)
    for piece in chain([head], pieces):
        taken += len(piece)
        rest = piece
        while rest:
            try:
                out = machine.decompress(rest, PIECE_BYTES)
            except zlib.error as error:
                raise TableUnreadable(f"it is not whole as gzip ({error}); upload it again.", rule="gzip") from None
            size += len(out)
            if size > MAX_UNPACKED_BYTES or (size > RATIO_FROM_BYTES and size > MAX_UNPACKED_RATIO * taken):
                raise TableUnreadable(
                    f"it unpacks to more than {size // 1024**2} MiB from {taken:,} bytes, which no table of rows does;"
                    " split it, or upload it unpacked.",
                    rule="gzip",
                )
            if out:
                yield out
            if machine.eof:
                rest = machine.unused_data
                if rest:  # files that were packed one by one and joined
                    machine = zlib.decompressobj(wbits=31)
            else:
                rest = machine.unconsumed_tail
    if not machine.eof:
        raise TableUnreadable("it is not whole as gzip: its end is missing; upload it again.", rule="gzip")


def _filled(pieces: Iterator[bytes], at_least: int) -> Iterator[bytes]:
    """The same bytes, the first piece of which has ``at_least`` bytes if there are so many."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= at_least:
            break
    yield head
    yield from pieces


def _decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    read = 0
    for piece in pieces:
        try:
            yield decoder.decode(piece).encode()
        except UnicodeError as error:
            place = read + getattr(error, "start", 0)
            raise TableUnreadable(
                f"it is not {encoding} (near byte {place:,}); name its encoding: source.encoding.", rule="encoding"
            ) from None
        read += len(piece)
    try:
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise TableUnreadable(
            f"it is not {encoding}: its last character is cut; upload it again.", rule="encoding"
        ) from None


def _line_ends(pieces: Iterator[bytes]) -> Iterator[bytes]:
    head = next(pieces, b"")
    if b"\r" not in head or b"\n" in head or head.count(b"\r") == head.endswith(b"\r"):
        yield head
        yield from pieces
        return
    for piece in chain([head], pieces):
        yield piece.replace(b"\r", b"\n")

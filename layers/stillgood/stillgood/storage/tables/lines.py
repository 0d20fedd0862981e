"""What batch reads: rows in chunks, bounded in memory, and every one counted, readable or not. And the lines of a text.

The formats are in ``delimited.py``, ``json_lines.py`` and ``parquet.py``.
"""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import length_hint

from stillgood.domain.errors import MalformedRequest

CHUNK_ROWS = 1_000  # what stays in a CPU cache: read three times as fast as 10,000
MAX_LINE = 1024 * 1024  # characters of one line; what is longer is not a row, and must not fill the memory
LARGE_BLOCK = 256 * 1024  # bytes of lines that are worth the import of Arrow
_PIECE_BYTES = 512 * 1024


class Lines:
    """The lines of ``data``, with their ends. ``taken`` are those handed out since it was last cleared: the current
    record's.

    They come one by one, or, for a reader of many at once, by the block. ``passed`` counts the lines that were handed
    out, and not taken back.
    """

    def __init__(self, data: Iterable[bytes]) -> None:
        self._blocks = _blocks(data)
        self._block: Iterator[str] = iter([])
        self._source = self._lines()
        self._again: list[str] = []
        self._large = False
        self.passed = 0
        self.taken: list[str] = []

    def block(self) -> bytes:
        """The next lines as the bytes they are; none after the last, while lines of the block before are still to be
        handed out, and before
        there was a large block."""
        block = b"" if self.left else next(self._blocks, b"")
        self._large = self._large or len(block) >= LARGE_BLOCK
        if not self._large and block:
            self.hand_out_lines_of(block)
        return block if self._large else b""

    @property
    def left(self) -> int:
        """How many lines of the block under way are still to be handed out."""
        return len(self._again) + length_hint(self._block)

    def hand_out_lines_of(self, block: bytes) -> None:
        """Take ``block`` back, to hand out its lines one by one."""
        self._block = iter(_cut(block))

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._source)
        self.passed += 1
        self.taken.append(line)
        return line

    def take(self, limit: int) -> str:
        """The next lines as one text, at most ``limit`` of them; "" after the last."""
        again = [self._again.pop() for _ in range(min(limit, len(self._again)))]
        again += islice(self._source, limit - len(again))
        self.taken += again
        self.passed += len(again)
        return "".join(self.taken)

    def check(self) -> None:
        """Raises MalformedRequest when the current record is too long, is not UTF-8, or holds a NUL."""
        for line in self.taken:
            if len(line) > MAX_LINE:
                raise MalformedRequest(f"The line is longer than {MAX_LINE} characters.")
            if not line.isascii():
                try:
                    line.encode()
                except UnicodeEncodeError:
                    raise MalformedRequest("The line is not UTF-8.") from None
            if "\0" in line:
                raise MalformedRequest("The line holds a NUL character.")

    def are_clean(self, longest: int = MAX_LINE) -> bool:
        """Whether ``check`` would pass for each of the lines taken, at a fraction of its time. ``longest``: characters,
        at most MAX_LINE.
        """
        text = "".join(self.taken)
        if "\0" in text:
            return False
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                return False
        return max(map(len, self.taken), default=0) <= longest

    def first(self) -> str:
        """The first line taken, as text that any file can hold."""
        return self.taken[0][:MAX_LINE].rstrip("\r\n").encode(errors="backslashreplace").decode()

    def hand_out_again(self, start: int) -> None:
        """Take back the lines taken, but for the first ``start``."""
        self._again += reversed(self.taken[start:])
        self.passed -= len(self.taken[start:])
        self.taken.clear()

    def _lines(self) -> Iterator[str]:
        while True:
            yield from (block := self._block)
            if self._block is block:
                if not (read := next(self._blocks, b"")):
                    return
                self.hand_out_lines_of(read)


def _blocks(data: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of ``data``, whatever pieces they come in, in blocks of whole lines, without a byte order mark."""
    rest, at_start = b"", True
    for piece in chain(_small(data), [b""]):
        block = rest + piece
        end = block.rfind(b"\n") + 1 if piece else len(block)
        # Of a line without end, no more is kept than shows that it is too long (a character has at most 4 bytes).
        block, rest = block[:end], block[end:][: 4 * MAX_LINE + 4]
        if block:
            yield block.removeprefix(codecs.BOM_UTF8) if at_start else block
            at_start = False


def _cut(block: bytes) -> list[str]:
    """The lines of a block. Bytes that are not UTF-8 become lone surrogates, for ``Lines.check``."""
    # Not splitlines(): that would also end a line at characters that may stand inside a cell.
    *lines, last = _decode(block).split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def _small(data: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that fit a processor's cache."""
    for piece in data:
        for start in range(0, len(piece), _PIECE_BYTES):
            yield piece[start : start + _PIECE_BYTES]


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="surrogateescape")

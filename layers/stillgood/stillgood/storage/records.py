"""The registry's objects, read strictly. predict reads the pointer with this and no more."""

from dataclasses import dataclass

from stillgood.domain.errors import DocumentUnusable
from stillgood.domain.promotion.decision import Decision, Pointer, PointerMark
from stillgood.storage.codec import decode, decode_any, encode, sha256
from stillgood.storage.keys import POINTER_KEY
from stillgood.storage.objects import Stored


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """Where a request's decision is found: record ``decision``, whose bytes had ``sha256`` when it was settled."""

    request_id: str
    decision: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CommittedPointer:
    """A pointer and its very bytes, as its record holds them: another version of this code may write a pointer
    otherwise.
    """

    pointer: Pointer
    data: bytes

    @property
    def mark(self) -> PointerMark:
        """Names this state of the pointer, for the next record."""
        return PointerMark(self.pointer.generation, sha256(self.data))


def read_pointer(stored: Stored) -> Pointer:
    """Raises DocumentUnusable."""
    raw = decode(stored.data, format="stillgood.production", what=POINTER_KEY)
    try:
        return Pointer.from_dict(raw)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DocumentUnusable(
            f"{POINTER_KEY} is malformed ({type(error).__name__}: {error}); the next promotion or rollback restores it"
            " from the log."
        ) from error


def read_decision(data: bytes, what: str) -> Decision:
    """Raises DocumentUnusable."""
    raw = decode(data, format="stillgood.decision", what=what)
    try:
        return Decision.from_dict(raw)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DocumentUnusable(f"{what} is malformed ({type(error).__name__}: {error}); run the audit.") from error


def puts_in_force(decision: Decision, data: bytes) -> CommittedPointer | None:
    """What ``decision``, read from ``data``, puts in force; None for a refusal."""
    if decision.pointer_after is None:
        return None
    return CommittedPointer(decision.pointer_after, encode(decode_any(data)["pointer_after"]))


def read_index(data: bytes, what: str) -> IndexEntry:
    """Raises DocumentUnusable."""
    raw = decode(data, format="stillgood.request", what=what)
    try:
        return IndexEntry(str(raw["request_id"]), int(raw["decision"]), str(raw["sha256"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DocumentUnusable(
            f"{what} is malformed ({type(error).__name__}: {error}); delete it, then run the audit."
        ) from error


def encode_index(entry: IndexEntry) -> bytes:
    """The bytes of an index entry."""
    return encode(
        {
            "format": "stillgood.request",
            "format_version": 1,
            "request_id": entry.request_id,
            "decision": entry.decision,
            "sha256": entry.sha256,
        }
    )

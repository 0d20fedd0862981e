"""Every error of the lifecycle, in one hierarchy, mapped to HTTP statuses in one place (``api/problems.py``).

StillgoodError
├── SettingsInvalid        an environment variable is missing or malformed
├── ContractInvalid        the contract file itself breaks a rule
├── InvalidRows            rows break the contract; carries every violation
├── MalformedRequest       the body is not JSON, or not an object or a list of objects
├── RequestTooLarge        more rows or bytes than one request may carry, or its answer could
├── UnsupportedMedia       the body does not say that it is JSON
├── KeyReused              an Idempotency-Key came with another body than the first time
├── InvalidEvent           a step was invoked with an event it cannot read
│   └── TableUnreadable    a file of rows cannot be read as what it says it is
├── UnknownVersion         no such model version
├── NoChampion             nothing has been promoted yet
├── DocumentUnusable       a stored document is truncated, tampered with, or from a future version; named by its key
│   └── ModelUnusable      one of a model's own: without it the model cannot be used
├── NotEnoughData
│   ├── TooFewRows
│   └── OneClassOnly
├── InvocationFailed       the next step could not be invoked; worth a retry
└── StorageError
    ├── ObjectNotFound
    ├── ObjectExists       create-only key is taken
    ├── PreconditionFailed the object changed under a compare-and-swap
    └── StoreUnavailable   time-out, throttling or outage; worth a retry
        ├── NoBucket       the bucket does not exist
        └── NotCaptured    the contract wants every answer captured, and this one could not be
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class StillgoodError(Exception):
    """Base of all. ``detail`` says what happened and what to do about it, in one or two sentences."""

    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra: Mapping[str, Any] = extra

    def to_dict(self) -> dict[str, Any]:
        """The error as data."""
        return {"type": self.slug, "title": self.title, "detail": self.detail, **self.extra}


class SettingsInvalid(StillgoodError):
    slug, title = "settings-invalid", "An environment variable is missing or malformed"


class ContractInvalid(StillgoodError):
    slug, title = "contract-invalid", "The feature contract breaks a rule"


class InvalidRows(StillgoodError):
    """Rows break the contract. ``violations``: JSON-able mappings, one per field and row; ``rows``: how many rows, 0
    when nobody counted.
    """

    slug, title = "invalid-rows", "Some values break the feature contract"

    def __init__(self, detail: str, violations: Sequence[Mapping[str, Any]], rows: int = 0) -> None:
        super().__init__(detail, violations=list(violations))
        self.violations = tuple(violations)
        self.rows = rows


class MalformedRequest(StillgoodError):
    slug, title = "malformed-request", "The request body cannot be read"


class RequestTooLarge(StillgoodError):
    slug, title = "request-too-large", "The request is too large"


class UnsupportedMedia(StillgoodError):
    slug, title = "unsupported-media", "The body is not sent as JSON"


class KeyReused(StillgoodError):
    slug, title = "idempotency-key-reused", "The Idempotency-Key was used for another request"


class InvalidEvent(StillgoodError):
    slug, title = "invalid-event", "The event cannot be read"


class TableUnreadable(InvalidEvent):
    """``rule`` is a stable short name: format, encoding, gzip, header, columns, empty, budget."""

    slug, title = "table-unreadable", "The file of rows cannot be read"

    def __init__(self, detail: str, *, rule: str, **extra: Any) -> None:
        super().__init__(detail, rule=rule, **extra)
        self.rule = rule


class UnknownVersion(StillgoodError):
    slug, title = "unknown-version", "No such model version"


class NoChampion(StillgoodError):
    slug, title = "no-champion", "No model has been promoted yet"


class DocumentUnusable(StillgoodError):
    slug, title = "document-unusable", "A stored document cannot be read"


class ModelUnusable(DocumentUnusable):
    slug, title = "model-unusable", "A stored artifact cannot be used"


class NotEnoughData(StillgoodError):
    slug, title = "not-enough-data", "Not enough data"


class TooFewRows(NotEnoughData):
    slug, title = "too-few-rows", "Too few rows"


class OneClassOnly(NotEnoughData):
    slug, title = "one-class-only", "All rows have the same outcome"


class InvocationFailed(StillgoodError):
    slug, title = "invocation-failed", "The next step could not be invoked"


class StorageError(StillgoodError):
    slug, title = "storage", "The object store failed"


class ObjectNotFound(StorageError):
    slug, title = "object-not-found", "No such object"


class ObjectExists(StorageError):
    slug, title = "object-exists", "The object exists already"


class PreconditionFailed(StorageError):
    slug, title = "precondition-failed", "The object was changed by another writer"


class StoreUnavailable(StorageError):
    slug, title = "store-unavailable", "The object store does not answer"


class NoBucket(StoreUnavailable):
    slug, title = "no-bucket", "There is no such bucket"


class NotCaptured(StoreUnavailable):
    slug, title = "not-captured", "The prediction could not be captured"

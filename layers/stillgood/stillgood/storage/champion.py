"""The champion as the prediction path sees it: loaded with two GETs, then watched with one conditional GET per
``ttl_seconds``.

On the cold start of predict: imports nothing beyond light parts of the standard library.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import (
    ContractInvalid,
    DocumentUnusable,
    ModelUnusable,
    NoChampion,
    ObjectNotFound,
    StillgoodError,
)
from stillgood.domain.model.model import FORMATS, Model
from stillgood.domain.promotion.decision import Pointer, Release
from stillgood.storage.codec import decode, sha256
from stillgood.storage.keys import POINTER_KEY
from stillgood.storage.objects import ObjectStore, Stored
from stillgood.storage.points import read_point_status, served
from stillgood.storage.records import read_pointer
from stillgood.storage.standing import read_standing


@dataclass(frozen=True, slots=True)
class Champion:
    """A pointer and the model it names, verified and whole, with the check of its contract's rows. ``model`` decides by
    the
    operating point in force, ``base`` is as it was trained. One object, so a request never mixes two versions."""

    pointer: Pointer
    model: Model
    checker: RowChecker
    base: Model


@dataclass(frozen=True, slots=True)
class ChampionStatus:
    """What ``/status`` tells. ``stale`` means: the last look at the registry failed, and the last good champion serves
    ``since`` then.

    ``failures`` counts failed looks in a row; ``loaded_at`` is when this champion was picked up. Times are aware and in
    UTC.
    """

    version: str | None
    generation: int | None
    loaded_at: datetime | None
    checked_at: datetime | None
    stale: bool
    last_error: str | None
    since: datetime | None
    failures: int


class ChampionSource:
    """Hands out the champion; notices a promotion within ``ttl_seconds``; keeps the last good one through every
    failure.
    """

    def __init__(self, store: ObjectStore, clock: Callable[[], datetime], ttl_seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._ttl = timedelta(seconds=ttl_seconds)
        self._lock = threading.Lock()
        self._champion: Champion | None = None
        self._etag = ""
        self._loaded_at: datetime | None = None
        self._checked_at: datetime | None = None
        self._error: StillgoodError | None = None
        self._since: datetime | None = None
        self._failures = 0

    def current(self) -> Champion:
        """The champion. Raises NoChampion, ModelUnusable or StoreUnavailable only while there never was a good one."""
        champion = self._champion
        if champion is not None and not self._due():
            return champion
        # One thread looks; the others serve what they have, or wait for the very first champion.
        if not self._lock.acquire(blocking=champion is None):
            assert champion is not None
            return champion
        try:
            if self._champion is None or self._due():
                self._look()
            assert self._champion is not None
            return self._champion
        finally:
            self._lock.release()

    @property
    def stale(self) -> bool:
        """Whether the last look at the registry failed, so that the champion may be an old one."""
        return self._error is not None

    @property
    def version(self) -> str | None:
        """The champion's version, without looking; None before the first."""
        champion = self._champion
        return champion.pointer.version if champion else None

    def status(self) -> ChampionStatus:
        """How the champion stands, without looking."""
        champion = self._champion
        return ChampionStatus(
            version=champion.pointer.version if champion else None,
            generation=champion.pointer.generation if champion else None,
            loaded_at=self._loaded_at,
            checked_at=self._checked_at,
            stale=self.stale,
            last_error=self._error.detail if self._error else None,
            since=self._since,
            failures=self._failures,
        )

    def point_status(self) -> dict[str, Any] | None:
        """What monitor wrote of the operating point after its newest window; one GET, for a status. None when there is
        nothing.
        """
        return read_point_status(self._store)

    def standing(self) -> dict[str, Any] | None:
        """What lasts, as monitor saw it in its newest window; one GET, for a status. None when there is nothing."""
        return read_standing(self._store)

    def _due(self) -> bool:
        if self._checked_at is None:
            return True
        # A clock that was set back must not freeze the champion.
        return not timedelta() <= self._clock() - self._checked_at < self._ttl

    def _look(self) -> None:
        now = self._clock()
        try:
            champion, etag = self._load()
        except StillgoodError as error:
            self._error, self._since, self._failures = error, self._since or now, self._failures + 1
            if self._champion is None:
                raise
        else:
            if champion is not self._champion:
                self._champion, self._etag, self._loaded_at = champion, etag, now
            self._error, self._since, self._failures = None, None, 0
        finally:
            # After a failure too: a store that is slow or down costs one time-out per ttl, not one per request. Read
            # again, because it took time.
            self._checked_at = self._clock()

    def _load(self) -> tuple[Champion, str]:
        """The champion now, and the ETag of its pointer; the same object while nothing changed."""
        known = self._champion
        try:
            stored: Stored | None = (
                self._store.get(POINTER_KEY) if known is None else self._store.get_if_changed(POINTER_KEY, self._etag)
            )
        except ObjectNotFound as error:
            raise NoChampion(
                f"There is no {POINTER_KEY}: train a model and promote it first (see events/train.json)."
            ) from error
        if stored is None and known is not None:
            return known, self._etag
        assert stored is not None
        pointer = read_pointer(stored)
        if (
            known is not None
            and known.pointer.model_sha256 == pointer.model_sha256
            and known.pointer.version == pointer.version
        ):
            same = known.pointer.point == pointer.point
            model = known.model if same else served(self._store, known.base, pointer.point)
            return Champion(pointer, model, known.checker, known.base), stored.etag
        base = load_model(self._store, pointer)
        model = served(self._store, base, pointer.point)
        return Champion(pointer, model, RowChecker(base.contract), base), stored.etag


def load_model(store: ObjectStore, release: Release) -> Model:
    """The model a release or pointer names, if its bytes are the ones that were promoted. Raises ModelUnusable,
    StoreUnavailable.
    """
    return load_verified(store, release.version, release.model_key, release.model_sha256)


def load_served(store: ObjectStore, release: Release) -> Model:
    """The same model as it decides: under the release's operating point. Raises ModelUnusable, StoreUnavailable."""
    return served(store, load_model(store, release), release.point)


def load_verified(store: ObjectStore, version: str, key: str, promoted: str) -> Model:
    """The model at ``key``, if the sha256 of its bytes is ``promoted``. Raises ModelUnusable, StoreUnavailable."""
    try:
        data = store.get(key).data
    except ObjectNotFound as error:
        raise ModelUnusable(f"{key}, which was promoted, is missing; restore it or roll back.") from error
    if (actual := sha256(data)) != promoted:
        raise ModelUnusable(
            f"{key} is not what was promoted: sha256 {actual[:12]}..., promoted {promoted[:12]}...; restore it or roll"
            " back."
        )
    return read_model(data, key, version)


def read_model(data: bytes, what: str, version: str) -> Model:
    """The model in the bytes of a model.json. Raises ModelUnusable when they do not hold a model of that version."""
    try:
        raw = decode(data, format=FORMATS, what=what)
        model = Model.from_dict(raw)
    except ModelUnusable:
        raise
    except DocumentUnusable as error:
        raise ModelUnusable(error.detail) from error
    except (ContractInvalid, KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise ModelUnusable(f"{what} is malformed ({type(error).__name__}: {error}).") from error
    if model.version != version:
        raise ModelUnusable(f"{what} holds version {model.version[:80]}, not {version}.")
    return model

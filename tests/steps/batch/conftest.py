"""An empty store, and what batch works with over it, at a fixed time."""

from datetime import UTC, datetime

import pytest
from stillgood.steps.batch.batch import BatchDeps
from stillgood.storage.champion import ChampionSource
from stillgood.storage.memory import MemoryObjectStore

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def deps(store: MemoryObjectStore) -> BatchDeps:
    return BatchDeps(store, ChampionSource(store, lambda: NOW, ttl_seconds=0), lambda: NOW)

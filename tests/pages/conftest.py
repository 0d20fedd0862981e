"""A small real life: two versions, a window with drift, decisions; and the pages of all of it."""

import pytest
from stillgood.pages.writer import write_all
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.fakes import FakeInvoker

from tests.faults import story


@pytest.fixture(scope="session")
def bucket() -> MemoryObjectStore:
    """The fault tests' story after monitor, a promotion, a refusal and a rollback, with every page written."""
    store = MemoryObjectStore()
    story.write(store)
    for name in ("monitor", "promote", "refuse", "rollback"):
        story.WORK[name](store, FakeInvoker())
    write_all(store)
    return store

"""A bucket that the code wrote while the project was called ``lifecycle``: every document in it is read, and its log
replays.
"""

import json
import tarfile
from pathlib import Path

import pytest
from stillgood.domain.contract.reader import read_contract
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import verify
from stillgood.storage.champion import load_model
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.references import read_reference
from stillgood.storage.registry import Registry

BUCKET = Path(__file__).parent.parent / "data" / "bucket_before_rename.tar.xz"


@pytest.fixture(scope="module")
def store():
    store = MemoryObjectStore()
    with tarfile.open(BUCKET) as archive:
        for member in archive:
            store.put(member.name, archive.extractfile(member).read())
    return store


def test_every_decision_is_made_again(store):
    """To the same bytes, or on another processor with figures that agree to the stated tolerance."""
    assert [(decision.n, decision.same, decision.forgotten) for decision in replay(store)] == [
        (n, True, False) for n in range(1, 9)
    ]
    assert verify(store) == ()


def test_the_champion_its_reference_and_the_contract_are_read(store):
    pointer = Registry(store).pointer()
    assert load_model(store, pointer).version == pointer.version
    assert read_reference(store, pointer) is not None
    contract = read_contract(json.loads(store.get("contract.json").data))
    assert contract.sha256 == "c8c14d4c00486fa46f3397a3ec369dd69955ee5f75cb75d2443bf2fff7214be4"

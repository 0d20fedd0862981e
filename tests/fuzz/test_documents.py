"""Stored documents that somebody edited, truncated or forged: refused by a typed error, never by whatever Python
raises.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stillgood.api.openapi import label_schema, row_schema
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import ContractInvalid, DocumentUnusable, StillgoodError
from stillgood.domain.model.model import Model
from stillgood.storage.codec import decode, decode_any, encode
from stillgood.storage.keys import POINTER_KEY, decision_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import Stored
from stillgood.storage.records import read_decision, read_pointer


@pytest.fixture
def forgeries(places: Any, changed: Any, nasty: list[Any]) -> Callable[[Any], Iterator[Any]]:
    """A value with each of its parts replaced by each of the nasty values; and those values alone."""

    def forge(value: Any) -> Iterator[Any]:
        for path in places(value):
            for put in nasty:
                yield changed(value, path, put)
        yield from nasty[1:]

    return forge


def test_a_forged_contract_is_refused_as_such_or_whole_enough_for_all_it_is_used_for(
    telco: Contract, forgeries: Any, count: Any
) -> None:
    tried = refused = 0
    for raw in forgeries(telco.to_dict()):
        tried += 1
        try:
            contract = read_contract(raw)
        except ContractInvalid:
            refused += 1
            continue
        assert read_contract(json.loads(encode(contract.to_dict()))) == contract
        assert len(contract.sha256) == 64
        RowChecker(contract).check(contract.example())
        json.dumps([row_schema(contract), label_schema(contract)], allow_nan=False, ensure_ascii=False).encode()
    assert refused > tried / 2
    count("fuzz: forged contracts", tried)


def test_a_forged_model_is_unusable_or_scores(
    telco: Contract, draw_model: Callable[[Contract, str], Model], forgeries: Any, count: Any
) -> None:
    tried = refused = 0
    for raw in forgeries(draw_model(telco, "20261123-fuzz").to_dict()):
        tried += 1
        try:
            model = Model.from_dict(raw)
        except DocumentUnusable:
            refused += 1
            continue
        checked = RowChecker(model.contract).check(model.contract.example())
        if not checked.violations:
            model.score(checked.values)
    assert refused > tried / 2
    count("fuzz: forged models", tried)


@pytest.mark.usefixtures("handler")
def test_a_forged_pointer_or_decision_is_unusable_or_read(store: MemoryObjectStore, forgeries: Any, count: Any) -> None:
    readers: dict[str, Callable[[bytes], Any]] = {
        POINTER_KEY: lambda content: read_pointer(Stored(content, "etag")),
        decision_key(1): lambda content: read_decision(content, decision_key(1)),
    }
    tried = refused = 0
    for key, read in readers.items():
        for raw in forgeries(decode_any(store.get(key).data)):
            tried += 1
            try:
                read(json.dumps(raw).encode())
            except DocumentUnusable:
                refused += 1
    assert refused > tried / 2
    count("fuzz: forged pointers and decisions", tried)


def test_every_cut_and_every_flipped_byte_of_a_contract_is_refused_or_read(telco: Contract, count: Any) -> None:
    whole = encode(telco.to_dict())
    cut = [whole[:end] for end in range(len(whole) - 1)]
    flipped = [
        whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :] for at in range(0, len(whole), 7) for mask in (1, 128)
    ]
    for content in cut:
        with pytest.raises(DocumentUnusable):
            decode(content, format="stillgood.contract")
    for content in flipped:
        try:
            read_contract(decode(content, format="stillgood.contract"))
        except StillgoodError as error:
            assert isinstance(error, DocumentUnusable | ContractInvalid)  # noqa: PT017
    count("fuzz: truncated and damaged documents", len(cut) + len(flipped))


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"[" * 200_000,
        lambda whole: b'{"a":' * 200_000,
        lambda whole: whole.replace(b'"format_version":1', b'"format_version":' + b"1" * 10_000),
        lambda whole: whole.replace(b'"format_version":1', b'"format_version":1e999'),
        lambda whole: whole.replace(b'"format_version":1', b'"format_version":NaN'),
        lambda whole: whole.decode().encode("utf-16"),
        lambda whole: whole.decode().encode("utf-32-le"),
        lambda whole: whole.replace(b"telco", "tälco".encode("latin-1")),
        lambda whole: whole + b"\0",
        lambda whole: bytes(10_000_000),
        lambda whole: b" " * 10_000_000,
    ],
)
def test_documents_in_the_wrong_encoding_too_deep_or_too_long_are_unusable(
    damage: Callable[[bytes], bytes], telco: Contract
) -> None:
    whole = encode(telco.to_dict())
    assert damage(whole) != whole
    with pytest.raises(DocumentUnusable):
        decode(damage(whole), format="stillgood.contract")


def test_a_byte_order_mark_is_no_damage(telco: Contract) -> None:
    assert decode(b"\xef\xbb\xbf" + encode(telco.to_dict()), format="stillgood.contract") == telco.to_dict()

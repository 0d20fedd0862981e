"""The same value is the same bytes, and damage is an error that says what."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.errors import DocumentUnusable
from stillgood.storage.codec import decode, decode_any, encode, sha256

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters())
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_what_was_encoded_is_decoded_and_encodes_again_to_the_same_bytes(value: dict[str, object]) -> None:
    data = encode(value)
    assert decode_any(data) == value
    assert encode(decode_any(data)) == data
    assert encode(dict(reversed(list(value.items())))) == data


@given(st.binary(max_size=60))
def test_bytes_are_decoded_or_refused_and_never_anything_else(data: bytes) -> None:
    with contextlib.suppress(DocumentUnusable):
        assert isinstance(decode_any(data), dict)


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": [float("inf")]}])
def test_a_number_that_is_none_is_not_encoded(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"\xff{}",
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b"\x80\x04N.",
    ],
)
def test_what_is_no_json_object_is_unusable(data: bytes) -> None:
    with pytest.raises(DocumentUnusable, match=r"models/A/model\.json"):
        decode_any(data, what="models/A/model.json")


def test_half_a_surrogate_pair_survives() -> None:
    """A request id may hold one; it must not break the log."""
    assert decode_any(encode({"id": "\ud800"})) == {"id": "\ud800"}


def test_a_reader_refuses_another_format_and_versions_it_does_not_know() -> None:
    data = encode({"format": "stillgood.model", "format_version": 2})
    assert decode(data, format="stillgood.model", versions=(1, 2))["format_version"] == 2
    with pytest.raises(DocumentUnusable, match=r"not of format 'stillgood\.production' but 'stillgood\.model'"):
        decode(data, format="stillgood.production")
    with pytest.raises(DocumentUnusable, match=r"format_version 2 of stillgood\.model; this code reads 1"):
        decode(data, format="stillgood.model")


@pytest.mark.parametrize("version", ["1", True, None, 1.5, [1], {}])
def test_a_format_version_is_a_number(version: object) -> None:
    with pytest.raises(DocumentUnusable):
        decode(json.dumps({"format": "f", "format_version": version}).encode(), format="f")


def test_sha256_is_the_standard_one() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stillgood.domain.contract.json_rows import parse_json, parse_rows
from stillgood.domain.errors import MalformedRequest, RequestTooLarge

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(JSON)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary())
def test_any_bytes_are_json_or_refused(body: bytes) -> None:
    with contextlib.suppress(MalformedRequest):
        parse_json(body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Expecting value at line 1, column 1"),
        (b"tenure=5", "Expecting value"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1, "a": 2}', "the key 'a' appears twice"),
        (b'[{"a": {"b": 1, "c": 2, "b": 3}}]', "the key 'b' appears twice"),
        (b'{"a": "\xff"}', "byte 7 cannot be decoded"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a": "\\uDFFF x"}', "half of a surrogate pair"),
        (b'{"\\uD83D": 1}', "half of a surrogate pair"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"1" * 5000, "too many digits"),
    ],
)
def test_what_is_ambiguous_or_cannot_be_kept_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        parse_json(body)


def test_a_whole_surrogate_pair_is_text() -> None:
    assert parse_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_an_object_is_one_row_and_a_list_is_many() -> None:
    assert parse_rows(b'{"a": 1}', max_rows=2, max_bytes=99) == ([{"a": 1}], True)
    assert parse_rows(b'[{"a": 1}]', max_rows=2, max_bytes=99) == ([{"a": 1}], False)
    assert parse_rows(b"[]", max_rows=2, max_bytes=99) == ([], False)


@pytest.mark.parametrize("body", [b"1", b'"text"', b"null", b"true", b"[[]]", b"[{}, 1]", b"[null]"])
def test_anything_but_objects_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_rows(body, max_rows=9, max_bytes=99)


def test_the_limits_are_inclusive() -> None:
    assert len(parse_rows(b"[{},{}]", max_rows=2, max_bytes=7)[0]) == 2
    with pytest.raises(RequestTooLarge, match="3 rows; at most 2"):
        parse_rows(b"[{},{},{}]", max_rows=2, max_bytes=99)
    with pytest.raises(RequestTooLarge, match="7 bytes; at most 6"):
        parse_rows(b"[{},{}]", max_rows=2, max_bytes=6)

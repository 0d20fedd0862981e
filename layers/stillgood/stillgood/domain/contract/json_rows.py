"""Untrusted JSON into rows, strictly, before any contract looks at them. The API and batch files are read by the same
rules.
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NoReturn

from stillgood.domain.errors import MalformedRequest, RequestTooLarge


def parse_json(data: bytes | str, what: str = "The body") -> Any:
    """The JSON value in ``data``, which messages call ``what``.

    Raises MalformedRequest for what is ambiguous or cannot be written back as valid text: not UTF-8, NaN or an
    infinity, a key twice in one object, half a surrogate pair, nesting or digits without end.

    >>> parse_json(b'{"tenure": 5}')
    {'tenure': 5}
    >>> parse_json(b'{"tenure": NaN}')  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    stillgood.domain.errors.MalformedRequest: The body is not valid JSON: NaN is not a JSON number; use null ...
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        value = _DECODER.decode(text)
        # Half a pair is legal in JSON's grammar only; no UTF-8 file, log or strict reader downstream could hold it.
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(
            f"{what} is not UTF-8: byte {error.start} cannot be decoded. Send JSON encoded as UTF-8."
        ) from None
    except UnicodeEncodeError:
        raise MalformedRequest(f"{what} is not valid text: a \\u escape is half of a surrogate pair.") from None
    except RecursionError:
        raise MalformedRequest(f"{what} is nested too deeply. Send one flat object, or a list of them.") from None
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"{what} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except ValueError as error:  # from the hooks below, and numbers of more digits than Python converts
        detail = str(error) if isinstance(error, _RefusedError) else "a number has too many digits"
        raise MalformedRequest(f"{what} is not valid JSON: {detail}.") from None
    return value


def parse_rows(body: bytes, *, max_rows: int, max_bytes: int) -> tuple[list[Mapping[str, Any]], bool]:
    """The rows of a request, and whether it was one object rather than a list. Raises MalformedRequest,
    RequestTooLarge.
    """
    if len(body) > max_bytes:
        raise RequestTooLarge(
            f"The body has {len(body)} bytes; at most {max_bytes} are read. Send fewer rows at once, or use batch"
            " prediction.",
            max_bytes=max_bytes,
        )
    value = parse_json(body)
    if isinstance(value, dict):
        return [value], True
    if not isinstance(value, list):
        raise MalformedRequest("The body must be one object (a row) or a list of objects.")
    if len(value) > max_rows:
        raise RequestTooLarge(
            f"The list has {len(value)} rows; at most {max_rows} are answered at once. Split it, or use batch"
            " prediction.",
            max_rows=max_rows,
        )
    for index, row in enumerate(value):
        if not isinstance(row, dict):
            raise MalformedRequest(f"Every row must be an object; row {index} (counted from 0) is not.", row=index)
    return value, False


class _RefusedError(ValueError):
    """Valid to Python's reader, not to ours; the message says why."""


def _refuse_constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not a JSON number; use null for a missing value")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = next(name for name, after in pairwise(sorted(name for name, _ in pairs)) if name == after)
        raise _RefusedError(f"the key {twice[:80]!r} appears twice in one object")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)

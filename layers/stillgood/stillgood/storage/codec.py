"""Versioned canonical JSON: the same value is the same bytes, and a reader knows what it reads. Never pickle."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

from stillgood.domain.errors import DocumentUnusable
from stillgood.domain.formats import current_format, is_of_later_code


def encode(value: Mapping[str, Any]) -> bytes:
    """``value`` as canonical JSON: sorted keys, no blanks, ASCII (valid UTF-8 whatever the strings hold), one newline
    at the end.

    Raises ValueError for NaN and infinities, TypeError for what JSON cannot say.

    >>> encode({"b": 1, "a": [0.5, None]})
    b'{"a":[0.5,null],"b":1}\\n'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def sha256(data: bytes) -> str:
    """64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def decode(
    data: bytes, *, format: str | Sequence[str], versions: Collection[int] = (1,), what: str = "The object"
) -> dict[str, Any]:
    """The JSON object in ``data`` if it says ``"format": format``, or one of several, and a ``format_version`` among
    ``versions``.

    ``what`` names the object in the message, usually its key. Raises DocumentUnusable for anything else: truncated, not
    JSON, NaN inside, nested too deep, another format, a future version.
    """
    value = _parsed(data, what)
    value["format"] = current_format(value.get("format"))
    formats = (format,) if isinstance(format, str) else format
    if value["format"] not in formats:
        wanted = " or ".join(repr(name) for name in formats)
        raise DocumentUnusable(f"{what} is not of format {wanted} but {str(value['format'])[:80]!r}.")
    version = value.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version not in versions:
        known = ", ".join(str(known) for known in sorted(versions))
        raise DocumentUnusable(
            f"{what} has format_version {str(version)[:20]} of {value['format']}; this code reads {known}. Deploy the"
            " code that wrote it, or an older version of it."
        )
    return value


def decode_any(data: bytes, *, what: str = "The object") -> dict[str, Any]:
    """The JSON object in ``data``, of any format, in UTF-8 with or without a byte order mark.

    Raises DocumentUnusable, also for one of a version that only later code knows.
    """
    value = _parsed(data, what)
    if is_of_later_code(value):
        raise DocumentUnusable(
            f"{what} has format_version {value['format_version']} of {value['format']}, which later code wrote;"
            " deploy that code, or a later one."
        )
    return value


def _parsed(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DocumentUnusable(
            f"{what} is not valid JSON ({len(data)} bytes; {str(error)[:120]}): truncated or overwritten."
        ) from error
    if not isinstance(value, dict):
        raise DocumentUnusable(f"{what} is not a JSON object.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

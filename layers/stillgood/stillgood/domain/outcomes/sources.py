"""Who sent a label, and what that is worth. Kept from the first label on, since it cannot be found out later.

A source has one of three standings. *Vouched*: a file under ``labels/incoming/``, which has a right of its own in the
bucket, or whom the contract's ``labels.vouched_sources`` names. *Identified*: a caller whom API Gateway knows; such
labels judge and teach, but none of their sources decides alone. *Anonymous*: labels that nobody signed; they are
counted and shown, and neither judge nor teach.
"""

import hashlib
import re
from collections.abc import Collection

_NAME = re.compile(r"[^A-Za-z0-9._@:/-]+")
_LONGEST = 80
API, UPLOAD = "api", "upload"
CALLER = "caller:"  # before the name of whom API Gateway knows, so that no token passes for a folder of files
ANONYMOUS, IDENTIFIED, VOUCHED = 0, 1, 2
STANDINGS = {ANONYMOUS: "anonymous", IDENTIFIED: "identified", VOUCHED: "vouched"}


def source_name(text: str) -> str:
    """``text`` as a source's name: short, printable ASCII.

    >>> source_name("CRM export (EU)")
    'CRM_export_EU_'
    """
    name = _NAME.sub("_", text)
    if len(name) > _LONGEST:  # cut, two of one beginning would be one
        name = f"{name[: _LONGEST - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name or UPLOAD


def source_of_file(name: str) -> str:
    """The source of an uploaded file by its ``name`` below labels/incoming/: its folder, "upload" where it lies in
    none.

    >>> source_of_file("crm/2026-11-01.csv"), source_of_file("2026-11-01.csv")
    ('crm', 'upload')
    """
    folder, slash, _ = name.partition("/")
    named = source_name(folder) if slash else UPLOAD
    return f"folder:{named}"[:_LONGEST] if standing_of(named, ()) != VOUCHED else named


def known_as(caller: str | None, *, hashed: bool) -> str | None:
    """As whom a ``caller`` is kept, on every way in: by name, or ``hashed`` where the contract says so; None where
    nobody was asked. A hash tells callers apart; whoever guesses a name can see that it is one.

    >>> known_as("crm feed", hashed=False), known_as("crm feed", hashed=True), known_as(None, hashed=True)
    ('crm_feed', 'sha256:d1ff19e0054b59e7ffdd02faa30dbdc2', None)
    """
    if not caller:
        return None
    return f"sha256:{hashlib.sha256(caller.encode()).hexdigest()[:32]}" if hashed else source_name(caller)


def source_of_caller(caller: str | None, *, hashed: bool = False) -> str:
    """The source of a request whose ``caller`` API Gateway knows; None where it asked nobody. ``hashed`` as above.

    >>> source_of_caller("crm-feed"), source_of_caller(None)
    ('caller:crm-feed', 'api')
    >>> source_of_caller("crm feed", hashed=True)
    'caller:sha256:d1ff19e0054b59e7ffdd02faa30dbdc2'
    """
    if not caller:
        return API
    return source_name(f"{CALLER}{known_as(caller, hashed=True) if hashed else caller}")


def standing_of(source: str, vouched: Collection[str]) -> int:
    """The standing of a source's name, as it is stored, under the contract's ``vouched_sources``.

    >>> [STANDINGS[standing_of(name, ("api", "crm-feed"))] for name in ("crm", "api", "caller:crm-feed", "caller:x")]
    ['vouched', 'vouched', 'vouched', 'identified']
    >>> STANDINGS[standing_of("api", ())]
    'anonymous'
    """
    if source in vouched or (source.startswith(CALLER) and source.removeprefix(CALLER) in vouched):
        return VOUCHED
    if source == API:
        return ANONYMOUS
    return IDENTIFIED if source.startswith((CALLER, "arn:")) else VOUCHED

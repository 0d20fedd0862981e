"""Who sent a label, and when it arrived: kept from the first label on, since neither can be found out later."""

import re

_NAME = re.compile(r"[^A-Za-z0-9._@:/-]+")
_LONGEST = 80
API, UPLOAD = "api", "upload"


def source_name(text: str) -> str:
    """``text`` as a source's name: short, printable ASCII.

    >>> source_name("CRM export (EU)")
    'CRM_export_EU_'
    """
    return _NAME.sub("_", text)[:_LONGEST] or UPLOAD


def source_of_file(name: str) -> str:
    """The source of an uploaded file by its ``name`` below labels/incoming/: its folder, "upload" where it lies in
    none.

    >>> source_of_file("crm/2026-11-01.csv"), source_of_file("2026-11-01.csv")
    ('crm', 'upload')
    """
    folder, slash, _ = name.partition("/")
    return source_name(folder) if slash else UPLOAD

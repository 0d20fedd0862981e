"""Who asks and why: what every verb that changes what serves hands to the log."""

import argparse
from contextlib import suppress
from typing import Any


def add_person(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """The options --because and --by."""
    parser.add_argument("--because", required=required, help="the reason that the log keeps")
    parser.add_argument("--by", metavar="NAME", help="who decides; your name on this machine by default")


def request(arguments: argparse.Namespace) -> dict[str, Any]:
    """The part of an event that says so. Each call is a request of its own, so none gets the answer of another."""
    from uuid import uuid4

    name = arguments.by or _name()
    by = {"by": name} if name else {}
    return {"request_id": f"by hand {uuid4()}", "reason": arguments.because, **by}


def _name() -> str | None:
    import getpass

    with suppress(Exception):  # what is raised where there is no name is another error on each system
        return getpass.getuser()
    return None

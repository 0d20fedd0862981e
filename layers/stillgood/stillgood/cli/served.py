"""Waiting until the API serves what the log says: what a person needs to know before the laptop is closed."""

import argparse
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillgood.cli.place import Place

if TYPE_CHECKING:
    from stillgood.domain.promotion.decision import Pointer

_PAUSE_SECONDS = 0.25
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Served:
    """``ok``: the API, or where there is none the bucket, was seen to serve it. ``says``: so in a sentence."""

    ok: bool
    says: str


def add_wait(parser: argparse.ArgumentParser) -> None:
    """The options that say which API to ask, and for how long."""
    parser.add_argument(
        "--api",
        metavar="URL",
        help="the stack's ApiUrl, to wait until it serves the new champion; by default STILLGOOD_API_URL, or the API"
        " of the embedded cloud. STILLGOOD_API_TOKEN is sent as its bearer; without it calls are signed for IAM",
    )
    parser.add_argument("--wait", metavar="SECONDS", type=float, default=60.0, help="how long at most (60)")


def wait_until_served(
    place: Place, pointer: "Pointer", arguments: argparse.Namespace, clock: Callable[[], float] = time.monotonic
) -> Served:
    """Wait for the API that the ``arguments`` or the ``place`` name, until it serves ``pointer``.

    Where there is no API to ask, the model that the pointer names is loaded and verified instead, which is what every
    process does that serves this place. Never raises for an API that does not answer: what was decided stands.
    """
    url = arguments.api or place.api or os.environ.get("STILLGOOD_API_URL")
    return wait_for_api(url, pointer, arguments.wait, clock) if url else _verified(place, pointer)


def wait_for_api(url: str, pointer: "Pointer", seconds: float, clock: Callable[[], float] = time.monotonic) -> Served:
    """Ask ``GET /health`` of ``url`` until it answers with ``pointer``'s generation or a later one, for at most
    ``seconds``.
    """
    began = clock()
    last = ""
    while True:
        try:
            health = _health(url)
            last = f"it answers with {health.get('version')}, generation {health.get('generation')}"
            if isinstance(health.get("generation"), int) and health["generation"] >= pointer.generation:
                took = clock() - began
                return Served(
                    True,
                    f"the API serves {health['version']}, seen after {took:.1f} s; processes that did not look yet"
                    " follow within ChampionTtlSeconds (10 s by default)",
                )
        except (OSError, ValueError) as error:  # HTTPError and URLError are OSErrors
            last = f"it does not answer as it should: {error}"
        if clock() - began > seconds:
            return Served(
                False,
                f"decided, but {url} did not serve it within {seconds:.0f} s: {last}. What was decided stands;"
                " do not decide again, look at `stillgood status` and GET /status",
            )
        time.sleep(_PAUSE_SECONDS)


def _verified(place: Place, pointer: "Pointer") -> Served:
    from stillgood.domain.errors import ModelUnusable
    from stillgood.storage.champion import load_served

    try:
        load_served(place.store, pointer.release)
    except ModelUnusable as error:
        return Served(False, f"decided, but what the pointer names cannot serve: {error.detail}")
    return Served(
        True,
        "no API to ask here (--api URL names one): the pointer and the model that it names were read back and verified",
    )


def _health(url: str) -> dict[str, Any]:
    address = url.rstrip("/") + "/health"
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no http or https address")
    request = urllib.request.Request(address, headers=_signed(address))  # noqa: S310 -- the scheme was looked at above
    with urllib.request.build_opener(*_handlers(address)).open(request, timeout=_ANSWER_SECONDS) as answer:
        return dict(json.loads(answer.read()))


def _handlers(url: str) -> list[urllib.request.BaseHandler]:
    loopback = "://127.0.0.1" in url or "://localhost" in url
    return [urllib.request.ProxyHandler({})] if loopback else []


def _signed(url: str) -> dict[str, str]:
    """The headers that the API's authoriser wants: a bearer where one is set, else AWS's signature for an AWS host."""
    token = os.environ.get("STILLGOOD_API_TOKEN")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if ".execute-api." not in url or ".amazonaws.com" not in url:
        return {}
    import boto3
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    session = boto3.session.Session()
    credentials = session.get_credentials()
    if credentials is None:
        return {}
    request = AWSRequest("GET", url)
    region = url.split(".execute-api.", 1)[1].split(".", 1)[0]
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
    return dict(request.headers.items())

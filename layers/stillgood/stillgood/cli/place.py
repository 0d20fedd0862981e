"""Where a command works: a plain folder, a bucket in AWS, or the bucket of the embedded cloud that runs here."""

import argparse
import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import WrongCall
from stillgood.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from stillgood.storage.objects import ObjectStore
    from stillgood.wiring.in_process import InProcess

EMBEDDED = Path(".local/cloud")
_CONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """``store`` and its ``name`` in a sentence; ``option`` is what a command needs to find it again. ``api``: the URL
    of the API that serves it, None where that is not known. ``window_hours``: of the embedded cloud's schedule.
    """

    store: "ObjectStore"
    name: str
    option: str
    api: str | None = None
    window_hours: str | None = None

    @property
    def steps(self) -> "InProcess":
        """The steps, run in this process."""
        from stillgood.wiring.in_process import InProcess

        if self.window_hours is None:
            return InProcess(self.store)
        return InProcess(self.store, environ={"STILLGOOD_WINDOW_HOURS": self.window_hours, **os.environ})


def add_place(parser: argparse.ArgumentParser) -> None:
    """The options that say where."""
    group = parser.add_argument_group(
        "where",
        "By default STILLGOOD_STORE or STILLGOOD_BUCKET of the environment, else the embedded cloud that `make up`"
        " started here.",
    )
    choice = group.add_mutually_exclusive_group()
    choice.add_argument("--store", metavar="DIR", type=Path, help="a plain folder, no cloud needed")
    choice.add_argument("--bucket", metavar="NAME", help="a bucket in AWS, with this shell's credentials")


def find_place(arguments: argparse.Namespace, *, create: bool = False) -> Place:
    """The place that the options or the environment name. ``create``: a folder that is not there is made.

    Raises WrongCall when there is none, StoreUnavailable when the embedded cloud was started and does not answer.
    """
    store, bucket = arguments.store, arguments.bucket
    if store is None and bucket is None:
        folder = os.environ.get("STILLGOOD_STORE", "")
        store, bucket = Path(folder) if folder else None, os.environ.get("STILLGOOD_BUCKET") or None
    if store is not None:
        return _folder(store, create)
    if bucket:
        from stillgood.aws.s3_boto3 import Boto3ObjectStore

        return Place(Boto3ObjectStore(bucket), f"bucket {bucket}", f"--bucket {bucket}")
    return _embedded()


def _folder(root: Path, create: bool) -> Place:
    if not create and not root.is_dir():
        raise WrongCall(
            f"There is no folder {root}. `stillgood try` and `stillgood contract apply` make one; check the spelling"
            " otherwise."
        )
    from stillgood.storage.folder import FolderObjectStore

    return Place(FolderObjectStore(root), f"folder {root}", f"--store {root}")


def _embedded() -> Place:
    for parent in (Path.cwd(), *Path.cwd().parents):
        if (parent / EMBEDDED / "cloud.json").is_file():
            return _running(parent / EMBEDDED)
    raise WrongCall(
        "No place is named: add --store ./dir (a plain folder) or --bucket NAME (AWS), or start the embedded cloud with"
        " `make up`."
    )


def _running(home: Path) -> Place:
    state: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        state = json.loads((home / "stack.json").read_text()) | json.loads((home / "cloud.json").read_text())
    port, bucket = state.get("port"), state.get("bucket")
    try:
        socket.create_connection(("127.0.0.1", int(str(port))), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise StoreUnavailable(
            f"The embedded cloud of {home} does not run; `make up` starts it again with everything it held. "
            "Or name another place by --store or --bucket."
        ) from error
    import boto3
    from botocore.config import Config

    from stillgood.aws.s3_boto3 import Boto3ObjectStore

    client = boto3.session.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 -- the embedded cloud takes any
        region_name="us-east-1",
    ).client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
    )
    name = f"embedded cloud on 127.0.0.1:{port}"
    return Place(Boto3ObjectStore(str(bucket), client), name, "", state.get("api"), state.get("window_hours"))

"""``make shell``: a shell in which `stillgood`, `aws` (if installed) and the variables find the embedded cloud."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from local.cloud import REGION, ROOT, CloudError, running
from local.deploy import outputs
from local.up import CLOUD


def variables(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` with the endpoint, region, dummy credentials, bucket, API and functions of ``home``'s cloud.

    Raises CloudError when it does not run.
    """
    cloud = running(home)
    try:
        note = json.loads((home / "stack.json").read_text())
        named = {f"{step.capitalize()}Function": str(name) for step, name in note["functions"].items()}
        named |= {"BUCKET": str(note["bucket"]), "BatchJob": str(note["machine"])}
        named |= {} if cloud is None else outputs(cloud)  # as docs/operations.md names them
        named["ApiUrl"] = str(note["api"])
        hours = note.get("window_hours")
    except (OSError, ValueError, KeyError):
        cloud = None
    if cloud is None:
        raise CloudError("the embedded cloud does not run; `make up` starts it")
    kept = {name: value for name, value in environ.items() if not name.startswith(("AWS_", "STILLGOOD_"))}
    return (
        kept
        | named
        | {
            "AWS_ENDPOINT_URL": cloud.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "STILLGOOD_BUCKET": named["BUCKET"],
            "STILLGOOD_API_URL": named["ApiUrl"],
            **({} if hours is None else {"STILLGOOD_WINDOW_HOURS": str(hours)}),
            "PATH": os.pathsep.join([str(ROOT / ".venv" / "bin"), environ.get("PATH", "")]),
        }
    )


def main() -> None:
    """Become that shell. Raises CloudError when the cloud does not run."""
    made = variables(CLOUD, os.environ)
    aws = "" if shutil.which("aws") else " (aws is not installed; stillgood does without)"
    print(f"{made['AWS_ENDPOINT_URL']}, {REGION}, credentials test/test, bucket {made['BUCKET']}{aws}", file=sys.stderr)
    shell = os.environ.get("SHELL") or "/bin/sh"
    os.execve(shell, [shell], made)  # noqa: S606 -- the user's own shell, without another around it

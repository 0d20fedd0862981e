"""Credentials as Lambda gives them under SnapStart: from a local endpoint, so that a snapshot holds none that expire.

obstore reads AWS_CONTAINER_CREDENTIALS_FULL_URI only beside a token *file* (EKS); Lambda gives the token itself.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import S3Credential

ENDPOINT, TOKEN, KEY = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_ACCESS_KEY_ID"
TIMEOUT_SECONDS = 2.0


def are_offered(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment names the endpoint and its token, and no key of its own, which would come first."""
    environ = os.environ if environ is None else environ
    return bool(environ.get(ENDPOINT) and environ.get(TOKEN) and not environ.get(KEY))


def fetch() -> "S3Credential":
    """Credentials of now; obstore asks again before they expire. Raises OSError, ValueError or KeyError when there are
    none to be had.
    """
    # Only under SnapStart, where the snapshot already holds the import.
    from http.client import HTTPConnection, HTTPSConnection
    from urllib.parse import urlsplit

    endpoint = urlsplit(os.environ[ENDPOINT])
    kind = HTTPSConnection if endpoint.scheme == "https" else HTTPConnection
    connection = kind(endpoint.netloc, timeout=TIMEOUT_SECONDS)
    try:
        path = f"{endpoint.path or '/'}{'?' if endpoint.query else ''}{endpoint.query}"
        connection.request("GET", path, headers={"Authorization": os.environ[TOKEN]})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise ValueError(f"the endpoint of the credentials answered {answer.status}")
    finally:
        connection.close()
    fields = json.loads(data)
    return {
        "access_key_id": fields["AccessKeyId"],
        "secret_access_key": fields["SecretAccessKey"],
        "token": fields["Token"],
        "expires_at": datetime.fromisoformat(fields["Expiration"]),
    }

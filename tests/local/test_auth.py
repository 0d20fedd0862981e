"""The API behind its JWT authoriser, deployed on the embedded cloud, which checks signature, issuer, audience and times
as AWS does.
"""

import base64
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local import cloud
from local import up as keep
from local.cloud import ROOT
from local.deploy import Stack, bring_up
from local.package import _TemplateLoader

pytestmark = pytest.mark.deployed

AUDIENCE, KEY_ID = "stillgood-clients", "key-1"
ROUTES = [("POST", "/predict"), ("POST", "/labels"), ("GET", "/model")]

SCOPES = ("predict", "labels:write", "operate")
RIGHTS = {
    ("POST", "/predict"): {"predict"},
    ("POST", "/labels"): {"labels:write"},
    ("GET", "/status"): {"operate"},
    ("GET", "/model"): {"predict", "operate"},
}

type Claims = dict[str, Any]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An identity provider on loopback: signs tokens, and publishes its key as OpenID Connect says."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key().public_numbers()
        n, e = (encoded(value.to_bytes((value.bit_length() + 7) // 8)) for value in (public.n, public.e))
        keys = {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": n, "e": e}]}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"} if "openid" in self.path else keys
                self.send_response_only(200)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def claims(self) -> Claims:
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "client",
            "iat": now - 10,
            "exp": now + 600,
            "scope": " ".join(SCOPES),
        }

    def sign(self, claims: Claims, algorithm: str = "RS256") -> str:
        header = {"alg": algorithm, "typ": "JWT", "kid": KEY_ID}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{encoded(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    threading.Thread(target=issuer.server.serve_forever, daemon=True).start()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


@pytest.fixture(scope="module")
def stack(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader=_TemplateLoader)
    if "ApiAuth" not in template["Parameters"]:
        pytest.skip("the template has no parameter ApiAuth, so there is no authoriser to test")
    jwt = next(value for value in template["Parameters"]["ApiAuth"]["AllowedValues"] if value.lower() == "jwt")
    home = tmp_path_factory.mktemp("auth")
    chosen = {"ApiAuth": jwt, "JwtIssuer": issuer.url, "JwtAudience": AUDIENCE, "MonitorScheduleState": "DISABLED"}
    try:
        yield bring_up(home, keep.PARAMETERS | chosen)
    finally:
        cloud.stop(home)


@pytest.fixture
def call(stack: Stack) -> Callable[[str, str, str | None], int]:
    """The status of a request with a token, or without one."""

    def send(method: str, path: str, token: str | None) -> int:
        parts = urlsplit(stack.api_url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        connection.request(method, parts.path + path, b"{}" if method == "POST" else None, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    return send


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_valid_token_reaches_the_function(method: str, path: str, call: Any, issuer: Issuer) -> None:
    # There is no champion yet, and it is the function that says so.
    assert call(method, path, issuer.sign(issuer.claims())) == 503


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_valid_token_nothing_is_reached(
    method: str, path: str, call: Any, issuer: Issuer, count: Any
) -> None:
    good, now = issuer.claims(), int(time.time())
    whole = issuer.sign(good)
    text, signature = whole.rsplit(".", 1)
    forged = encoded(json.dumps({"alg": "none", "kid": KEY_ID}).encode())
    stranger = Issuer()
    stranger.server.server_close()
    refused = {
        "no token": None,
        "no JWT": "secret",
        "wrong audience": issuer.sign(good | {"aud": "somebody-else"}),
        "no audience": issuer.sign({name: value for name, value in good.items() if name != "aud"}),
        "expired": issuer.sign(good | {"exp": now - 1}),
        "not yet valid": issuer.sign(good | {"nbf": now + 600}),
        "wrong issuer": issuer.sign(good | {"iss": "https://somebody.example"}),
        "another's signature": stranger.sign(good),
        "no signature": f"{text}.",
        "algorithm none": f"{forged}.{text.split('.')[1]}.",
        "claims exchanged": f"{text.split('.')[0]}.{encoded(json.dumps(good | {'sub': 'admin'}).encode())}.{signature}",
    }
    assert {why: call(method, path, token) for why, token in refused.items()} == dict.fromkeys(refused, 401)
    count("authorisation: tokens refused", len(refused))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("method", "path"), RIGHTS)
def test_a_token_reaches_only_what_its_scope_allows(
    method: str, path: str, scope: str, call: Any, issuer: Issuer
) -> None:
    status = call(method, path, issuer.sign(issuer.claims() | {"scope": scope}))
    assert (status == 403) == (scope not in RIGHTS[method, path])

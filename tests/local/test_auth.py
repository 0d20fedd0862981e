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

from docs import rights
from local import cloud
from local import up as keep
from local.cloud import ROOT
from local.deploy import Stack, bring_up
from local.package import _TemplateLoader

pytestmark = pytest.mark.deployed

AUDIENCE, KEY_ID = "stillgood-clients", "key-1"
ROUTES = [("POST", "/predict"), ("POST", "/labels"), ("GET", "/model")]

SCOPES = tuple(rights.SCOPE_PARAMETERS)
# What the function itself answers to an empty request where there is no champion yet: the caller has reached it.
REACHED = {
    "POST /predict": 503,
    "POST /labels": 503,
    "POST /actions": 422,
    "GET /model": 503,
    "GET /status": 200,
    "GET /health": 503,
    "GET /metrics": 200,
    "GET /report": 307,
    "GET /report/{page+}": 404,
    "GET /openapi.json": 200,
    "GET /docs": 200,
    "GET /docs/{file+}": 200,
}
RIGHTS = rights.rights(yaml.load((ROOT / "template.yaml").read_text(), Loader=_TemplateLoader))
CALLERS = {
    "no token": None,
    "no right": "",
    "another API's scope": "profile email",
    "like a right": "predictx labels operate:write",
    **{right: right for right in SCOPES},
    "predict and labels:write": "predict labels:write",
    "all": " ".join(SCOPES),
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
    return lambda method, path, token: status_of(stack, method, path, token)


def status_of(stack: Stack, method: str, path: str, token: str | None) -> int:
    parts = urlsplit(stack.api_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    connection.request(method, parts.path + path, b"{}" if method == "POST" else None, headers)
    status = connection.getresponse().status
    connection.close()
    return status


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


def request_of(key: str) -> tuple[str, str]:
    """Method and path of a request to the route with this key."""
    method, path = key.split(" ")
    return method, path.replace("{page+}", "windows/none.html").replace("{file+}", "swagger-ui.css")


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("key", RIGHTS)
def test_a_token_reaches_only_what_its_scopes_allow(key: str, caller: str, call: Any, issuer: Issuer) -> None:
    scopes = CALLERS[caller]
    token = None if scopes is None else issuer.sign(issuer.claims() | {"scope": scopes})
    without_right, unknown = (int(status) for status in rights.REFUSALS["jwt"])
    allowed = scopes is not None and bool(set(RIGHTS[key]) & set(scopes.split()))
    expected = unknown if scopes is None else REACHED[key] if allowed else without_right
    assert call(*request_of(key), token) == expected


@pytest.fixture(scope="module")
def open_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Beside ``stack``, with ApiAuth none."""
    home = tmp_path_factory.mktemp("open")
    try:
        yield bring_up(home, keep.PARAMETERS | {"ApiAuth": "none", "MonitorScheduleState": "DISABLED"})
    finally:
        cloud.stop(home)


def test_an_open_api_answers_everybody_on_every_route(open_stack: Stack, issuer: Issuer) -> None:
    assert rights.REFUSALS["none"] == (rights.ANSWERED, rights.ANSWERED)
    tokens = (None, "secret", issuer.sign(issuer.claims() | {"scope": ""}))
    seen = {key: {status_of(open_stack, *request_of(key), token) for token in tokens} for key in RIGHTS}
    assert seen == {key: {REACHED[key]} for key in RIGHTS}

import asyncio
import base64
import json
from typing import Any

from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send
from stillgood.api.correlation import CorrelationMiddleware
from stillgood.api.gateway import lambda_handler
from stillgood.testing.gateway import http_event


def answering(*pieces: bytes, media_type: bytes = b"application/json") -> Any:
    """An application that answers with these pieces of a body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", media_type)]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": piece is not pieces[-1]})

    return app


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body that it receives."""
    await answering(json.dumps((await receive())["body"].decode()).encode())(scope, receive, send)


def test_the_body_arrives() -> None:
    answer = lambda_handler(echo, lambda: None)(http_event("/echo", "Grüße"), None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, "Grüße")


def test_pieces_of_an_answer_are_one_answer() -> None:
    answer = lambda_handler(answering(b'{"a"', b": 1}"), lambda: None)(http_event("/echo"), None)
    assert (answer["body"], answer["isBase64Encoded"]) == ('{"a": 1}', False)


def test_what_is_no_text_goes_as_base64() -> None:
    answer = lambda_handler(answering(b"\x89PNG", media_type=b"image/png"), lambda: None)(http_event("/echo"), None)
    assert (base64.b64decode(answer["body"]), answer["isBase64Encoded"]) == (b"\x89PNG", True)


def test_an_event_that_cannot_be_read_is_the_callers_error() -> None:
    answer = lambda_handler(echo, lambda: None)(http_event("/echo", headers={"x-forwarded-port": "door"}), None)
    assert (answer["statusCode"], json.loads(answer["body"])["title"]) == (400, "Bad Request")


def test_middleware_and_endpoints_may_wait(event_loop: asyncio.AbstractEventLoop) -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        await answering(b"{}")(scope, receive, send)

    assert lambda_handler(waits, lambda: None)(http_event("/echo"), None)["statusCode"] == 200


def test_behind_a_stage_the_paths_are_the_same() -> None:
    app = FastAPI()
    app.add_middleware(CorrelationMiddleware, new_id=lambda: "new")

    @app.get("/echo")
    async def echo(request: Request) -> str:
        return str(request.url_for("echo").path)

    handler = lambda_handler(app, lambda: None)
    for path, stage, status in (("/echo", "$default", 200), ("/prod/echo", "prod", 200), ("/prod/echo", "test", 404)):
        answer = handler(http_event(path, method="GET", stage=stage), None)
        assert (answer["statusCode"], path) == (status, path)
        assert status == 404 or json.loads(answer["body"]) == path

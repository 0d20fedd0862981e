import asyncio
import base64
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from stillgood.api.gateway import lambda_handler


def event(body: str | None = None, **more: Any) -> dict[str, Any]:
    http = {"method": "POST", "path": "/echo", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "curl"}
    read: dict[str, Any] = {"version": "2.0", "rawPath": "/echo", "rawQueryString": "", "headers": {"host": "api"}}
    return {
        **read,
        "requestContext": {"http": http, "requestId": "r-1"},
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


def answering(*pieces: bytes, media_type: bytes = b"application/json") -> Any:
    """An application that answers with these pieces of a body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", media_type)]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": piece is not pieces[-1]})

    return app


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it receives, twice."""
    received = [await receive(), await receive()]
    told = [{**one, "body": one["body"].decode()} if "body" in one else one for one in received]
    await answering(json.dumps(told).encode())(scope, receive, send)


def test_the_body_is_received_once_and_then_the_caller_is_gone() -> None:
    answer = lambda_handler(echo, lambda: None)(event("Grüße"), None)
    assert json.loads(answer["body"]) == [
        {"type": "http.request", "body": "Grüße", "more_body": False},
        {"type": "http.disconnect"},
    ]
    assert answer["statusCode"] == 200


def test_pieces_of_an_answer_are_one_answer() -> None:
    answer = lambda_handler(answering(b'{"a"', b": 1}"), lambda: None)(event(), None)
    assert (answer["body"], answer["isBase64Encoded"]) == ('{"a": 1}', False)


def test_what_is_no_text_goes_as_base64() -> None:
    answer = lambda_handler(answering(b"\x89PNG", media_type=b"image/png"), lambda: None)(event(), None)
    assert (base64.b64decode(answer["body"]), answer["isBase64Encoded"]) == (b"\x89PNG", True)


def test_an_event_that_cannot_be_read_is_the_callers_error() -> None:
    answer = lambda_handler(echo, lambda: None)(event(headers={"host": "api", "x-forwarded-port": "door"}), None)
    assert (answer["statusCode"], json.loads(answer["body"])["title"]) == (400, "Bad Request")


def test_an_application_that_waits_for_a_loop_is_an_error_and_not_an_answer() -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waits for an event loop"):
        lambda_handler(waits, lambda: None)(event(), None)


def test_whatever_loop_the_caller_runs_is_left_alone() -> None:
    async def main() -> Any:
        return lambda_handler(echo, lambda: None)(event("x"), None)

    assert asyncio.run(main())["statusCode"] == 200

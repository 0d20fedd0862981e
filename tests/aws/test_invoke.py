"""An event reaches the next step's function, or the caller hears why not."""

import io
import json
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from stillgood.aws.invoke import LambdaInvoker
from stillgood.domain.errors import InvocationFailed
from stillgood.steps.ports import Invoker
from stillgood.testing.fakes import FakeInvoker


@pytest.fixture
def client() -> Any:
    return boto3.client("lambda", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")


def test_an_event_is_queued_for_the_function_of_its_step(client: Any) -> None:
    expected = {"FunctionName": "churn-train", "InvocationType": "Event", "Payload": b'{"request_id": "r1"}'}
    with Stubber(client) as stub:
        stub.add_response("invoke", {"StatusCode": 202, "Payload": io.BytesIO(b"")}, expected)
        invoker: Invoker = LambdaInvoker({"train": "churn-train"}, client)
        invoker.invoke("train", {"request_id": "r1"})
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ResourceNotFoundException", "AccessDeniedException"])
def test_a_refusal_of_lambda_names_function_and_reason(client: Any, code: str) -> None:
    with Stubber(client) as stub:
        stub.add_client_error(
            "invoke", code, expected_params={"FunctionName": "f", "InvocationType": "Event", "Payload": ANY}
        )
        with pytest.raises(InvocationFailed, match=rf"f did not take the event for promote: .*{code}"):
            LambdaInvoker({"promote": "f"}, client).invoke("promote", {})


@pytest.mark.parametrize("functions", [{}, {"train": None}, {"train": ""}])
def test_a_step_without_a_function_names_the_variable_to_set(functions: dict[str, str | None]) -> None:
    with pytest.raises(InvocationFailed, match="STILLGOOD_TRAIN_FUNCTION"):
        LambdaInvoker(functions).invoke("train", {})


def test_nothing_is_connected_before_the_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "client", lambda *args, **kwargs: pytest.fail("connected"))
    LambdaInvoker({"train": "f"})


def test_the_recorder_keeps_copies() -> None:
    recorder = FakeInvoker()
    event = {"a": 1}
    recorder.invoke("train", event)
    event["a"] = 2
    assert recorder.events == [("train", {"a": 1})]
    assert json.dumps(recorder.events)

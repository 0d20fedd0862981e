"""Asynchronous Lambda invocation: how one step hands over to the next."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stillgood.domain.errors import InvocationFailed

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaInvoker:
    """Invokes by ``InvocationType=Event``. ``functions`` maps a step to the name or ARN of its function, None if it was
    not configured.
    """

    def __init__(self, functions: Mapping[str, str | None], client: "LambdaClient | None" = None) -> None:
        self._functions = functions
        self._client = client

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        """Queue ``event``. Delivered at least once, perhaps twice after a time-out: steps find duplicates by request
        id.

        Raises InvocationFailed when Lambda does not take it.
        """
        function = self._functions.get(step)
        if not function:
            raise InvocationFailed(
                f"STILLGOOD_{step.upper()}_FUNCTION is not set; give it the name of the function that runs {step}.",
                step=step,
            )
        payload = json.dumps(event, allow_nan=False).encode()
        try:
            if self._client is None:
                self._client = lambda_client()
            self._client.invoke(FunctionName=function, InvocationType="Event", Payload=payload)
        except (ClientError, BotoCoreError) as error:
            raise InvocationFailed(f"{function} did not take the event for {step}: {error}", step=step) from error


def lambda_client() -> "LambdaClient":
    """A client that retries throttling and outages for at most about 20 s. The region and endpoint come from the
    environment.
    """
    return boto3.client(
        "lambda",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )

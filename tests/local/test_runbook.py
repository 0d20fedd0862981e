"""docs/operations.md, done on the embedded cloud: dead letters are drained, and what was deleted is brought back."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local import cloud, customers, datasets
from local import up as keep
from local.api import Api
from local.cloud import ROOT
from local.deploy import STACK, Stack, bring_up

pytestmark = pytest.mark.deployed

PARAMETERS = keep.PARAMETERS | {"MonitorScheduleState": "DISABLED", "ChampionTtlSeconds": "0"}
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("runbook")
    stack = bring_up(home, PARAMETERS)
    first, _ = customers.split(datasets.telco())
    keep.seed(
        stack, "data/2026-08-01/customers.csv", first.to_csv(index=False).encode(), datasets.contract_text("telco")
    )
    keep.train_first(stack)
    yield stack
    cloud.stop(home)


@pytest.fixture(scope="module")
def outputs(stack: Stack) -> dict[str, str]:
    (described,) = stack.cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}


def test_the_runbook_names_outputs_that_the_stack_has(outputs: dict[str, str]) -> None:
    named = {"BatchJob", "TrainFunction", "PromoteFunction", "ApiUrl", "DeadLettersUrl"}
    assert all(f"${name}" in RUNBOOK for name in named)
    assert named <= outputs.keys()


def letters(stack: Stack, queue: str, seconds: int) -> list[dict[str, Any]]:
    answer = stack.cloud.client("sqs").receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=300, WaitTimeSeconds=seconds
    )
    return list(answer.get("Messages", []))


@pytest.mark.parametrize(
    ("step", "needs"),
    [("train", "request_id"), ("promote", "action"), ("monitor", "scheduled_time"), ("batch", "input")],
)
def test_what_a_step_fails_on_for_good_is_kept_can_be_mended_and_sent_again(
    stack: Stack, outputs: dict[str, str], step: str, needs: str
) -> None:
    client, queue = stack.cloud.client("lambda"), outputs["DeadLettersUrl"]
    client.invoke(FunctionName=stack.functions[step], InvocationType="Event", Payload=b'{"by": "mistake"}')

    (letter,) = keep.wait_for(lambda: letters(stack, queue, 1) or None, "a dead letter")

    told = json.loads(letter["Body"])
    assert told["requestContext"]["functionArn"].split(":")[6] == stack.functions[step]
    assert told["requestPayload"]["by"] == "mistake"
    assert needs in told["responsePayload"]["errorMessage"]  # what to mend
    event = json.loads((ROOT / "events" / f"{step}.json").read_text())
    mended = event | ({"candidate": champion(stack)} if step == "promote" else {})
    if step == "batch":
        stack.store.put(event["input"], customers.split(datasets.telco())[1].head(20).to_csv(index=False).encode())
    answer = client.invoke(FunctionName=told["requestContext"]["functionArn"], Payload=json.dumps(mended).encode())
    assert "FunctionError" not in answer, answer["Payload"].read()

    stack.cloud.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"])
    left = stack.cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert {left["ApproximateNumberOfMessages"], left["ApproximateNumberOfMessagesNotVisible"]} == {"0"}


def test_a_deleted_model_is_brought_back_by_taking_its_marker_away(stack: Stack) -> None:
    s3, api = stack.cloud.client("s3"), Api(stack.api_url)
    row = customers.as_requests(customers.split(datasets.telco())[1].head(1), datasets.contract("telco"))[0]
    before = api.predict(row).body["probability"]
    key = f"models/{champion(stack)}/model.json"
    s3.delete_object(Bucket=stack.bucket, Key=key)
    assert list(stack.store.list(key)) == []

    found = s3.list_object_versions(Bucket=stack.bucket, Prefix=key)
    (marker,) = [one["VersionId"] for one in found["DeleteMarkers"] if one["IsLatest"]]
    s3.delete_object(Bucket=stack.bucket, Key=key, VersionId=marker)

    assert [info.key for info in stack.store.list(key)] == [key]
    assert api.predict(row).body["probability"] == before


def champion(stack: Stack) -> str:
    return str(json.loads(stack.store.get("registry/production_metrics.json").data)["version"])

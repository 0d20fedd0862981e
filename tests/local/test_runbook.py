"""docs/operations.md, done on the embedded cloud: every command of it is run, dead letters are drained, and what was
deleted is brought back.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.cli.main import main
from stillgood.steps.promote.mode import set_mode
from stillgood.steps.promote.promote import PromoteDeps
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.champion import load_model
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry

from local import cloud, customers, datasets, deploy, shell
from local import up as keep
from local.api import Api
from local.cloud import ROOT
from local.deploy import Stack, bring_up
from tests.faults import story

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
    return deploy.outputs(stack.cloud)


@pytest.fixture(scope="module")
def letter_events(stack: Stack) -> str:
    """The queue of a rule of one's own, as docs/events.md has it."""
    events, sqs = stack.cloud.client("events"), stack.cloud.client("sqs")
    url = str(sqs.create_queue(QueueName="told")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["stillgood"], "detail-type": ["stillgood.dead-letter.kept"]}
    events.put_rule(Name="letters", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="letters", Targets=[{"Id": "told", "Arn": arn}])
    return url


def test_the_runbook_names_outputs_that_the_stack_has(outputs: dict[str, str]) -> None:
    named = {"BatchJob", "TrainFunction", "PromoteFunction", "ApiUrl", "DeadLettersUrl"}
    assert all(f"${name}" in RUNBOOK for name in named)
    assert named <= outputs.keys()


def test_alarms_have_the_states_that_cloudwatch_would_give(stack: Stack, outputs: dict[str, str]) -> None:
    states = keep.alarm_states(stack)
    assert states["ApiIsOpen"] == "ALARM"  # PARAMETERS open it
    assert states["DeadLetters"] == states["RetrainFailed"] == states["PromoteFailed"] == "OK"
    assert states["ApiFailed"] == "INSUFFICIENT_DATA"  # not measured here
    stack.invoke("monitor", json.loads((ROOT / "events" / "monitor.json").read_text()))
    stack.cloud.client("lambda").invoke(FunctionName=stack.functions["promote"], Payload=b"{}")
    sqs = stack.cloud.client("sqs")
    sqs.send_message(QueueUrl=outputs["DeadLettersUrl"], MessageBody="{}")
    states = keep.alarm_states(stack)
    found = stack.cloud.client("cloudwatch").list_metrics(Namespace="Stillgood", MetricName="WindowsJudged")
    (measured,) = found["Metrics"]  # by what the function printed in the embedded metric format
    dimensions = {entry["Name"]: entry["Value"] for entry in measured["Dimensions"]}
    assert dimensions == {"service": "monitor", "function_name": stack.functions["monitor"]}
    assert states["PromoteFailed"] == states["DeadLetters"] == "ALARM"
    assert states["RetrainFailed"] == "OK"
    (letter,) = letters(stack, outputs["DeadLettersUrl"], 1)
    sqs.delete_message(QueueUrl=outputs["DeadLettersUrl"], ReceiptHandle=letter["ReceiptHandle"])


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
    stack: Stack, outputs: dict[str, str], letter_events: str, step: str, needs: str
) -> None:
    client, queue = stack.cloud.client("lambda"), outputs["DeadLettersUrl"]
    client.invoke(FunctionName=stack.functions[step], InvocationType="Event", Payload=b'{"by": "mistake"}')

    (letter,) = keep.wait_for(lambda: letters(stack, queue, 1) or None, "a dead letter")

    kept = json.loads(letter["Body"])
    (message,) = keep.wait_for(lambda: letters(stack, letter_events, 1) or None, "the event of a dead letter")
    event = json.loads(message["Body"])["detail"]
    assert event["type"] == "stillgood.dead-letter.kept"
    assert event["data"]["function"] == stack.functions[step]
    assert needs in event["data"]["reasons"][0]
    stack.cloud.client("sqs").delete_message(QueueUrl=letter_events, ReceiptHandle=message["ReceiptHandle"])

    assert kept["requestContext"]["functionArn"].split(":")[6] == stack.functions[step]
    assert kept["requestPayload"]["by"] == "mistake"
    assert needs in kept["responsePayload"]["errorMessage"]  # what to mend
    event = json.loads((ROOT / "events" / f"{step}.json").read_text())
    mended = event | ({"candidate": champion(stack)} if step == "promote" else {})
    if step == "batch":
        stack.store.put(event["input"], customers.split(datasets.telco())[1].head(20).to_csv(index=False).encode())
    answer = client.invoke(FunctionName=kept["requestContext"]["functionArn"], Payload=json.dumps(mended).encode())
    assert "FunctionError" not in answer, answer["Payload"].read()

    stack.cloud.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"])
    left = stack.cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert {left["ApproximateNumberOfMessages"], left["ApproximateNumberOfMessagesNotVisible"]} == {"0"}


def test_what_a_schedule_could_not_deliver_is_told_and_kept(
    stack: Stack, outputs: dict[str, str], letter_events: str
) -> None:
    """The emulator's scheduler writes no dead letters, so this one is sent as EventBridge Scheduler would."""
    sqs, formation = stack.cloud.client("sqs"), stack.cloud.client("cloudformation")
    found = formation.describe_stack_resources(StackName=deploy.STACK, LogicalResourceId="ScheduleLetters")
    body, target = (
        '{"scheduled_time": "2026-11-24T00:00:00Z"}',
        f"arn:aws:lambda:x:1:function:{stack.functions['monitor']}",
    )
    attributes = {"ERROR_CODE": "AccessDenied", "ERROR_MESSAGE": "not allowed", "TARGET_ARN": target}
    sqs.send_message(
        QueueUrl=found["StackResources"][0]["PhysicalResourceId"],
        MessageBody=body,
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )
    (message,) = keep.wait_for(lambda: letters(stack, letter_events, 1) or None, "the event of a dead letter")
    event = json.loads(message["Body"])["detail"]
    assert event["data"]["function"] == stack.functions["monitor"]
    assert event["data"]["reasons"] == ["AccessDenied: not allowed"]
    (letter,) = keep.wait_for(lambda: letters(stack, outputs["DeadLettersUrl"], 1) or None, "a dead letter")
    assert letter["Body"] == body
    sqs.delete_message(QueueUrl=letter_events, ReceiptHandle=message["ReceiptHandle"])
    sqs.delete_message(QueueUrl=outputs["DeadLettersUrl"], ReceiptHandle=letter["ReceiptHandle"])


def test_a_deleted_model_is_brought_back_by_taking_its_marker_away(stack: Stack) -> None:
    s3, api = stack.cloud.client("s3"), Api(stack.api_url)
    row = customers.as_requests(customers.split(datasets.telco())[1].head(1), datasets.contract("telco"))[0]
    before = api.predict(row).body["probability"]
    key = f"models/{champion(stack)}/model.json"
    s3.delete_object(Bucket=stack.bucket, Key=key)
    assert list(stack.store.list(key)) == []

    versions = s3.list_object_versions(Bucket=stack.bucket, Prefix=key)
    (marker,) = [entry["VersionId"] for entry in versions["DeleteMarkers"] if entry["IsLatest"]]
    s3.delete_object(Bucket=stack.bucket, Key=key, VersionId=marker)

    assert [info.key for info in stack.store.list(key)] == [key]
    assert api.predict(row).body["probability"] == before


def champion(stack: Stack) -> str:
    return str(json.loads(stack.store.get("registry/production_metrics.json").data)["version"])


STORY = "runbook-story"
BLOCKS = [block.splitlines() for block in re.findall(r"^```\n(.*?)^```$", RUNBOOK, re.S | re.M)]
TYPED = [line.partition("  #")[0].strip() for block in BLOCKS for line in block if "# not run" not in line]
INLINE = set(re.findall(r"`stillgood ([a-z]+)", RUNBOOK))
WELL, LOOK = 0, 1

Typed = tuple[str, int, str]  # what is typed in place of the runbook's words, its exit code, and what it answers
FIRST: dict[str, Typed] = {  # on an empty bucket
    "stillgood contract apply contract.json": ("", WELL, "is in force"),
    "stillgood train customers.csv": ("", WELL, "promoted"),
    "stillgood status": ("", WELL, "serving"),
}
# On a bucket in which v1 serves after v0, v2 is better, and a rollback to v0 waits for a person.
LATER: dict[str, Typed] = {
    "stillgood refuse": ("stillgood refuse {case} --because 'looks well'", WELL, "refused"),
    "stillgood mode watch --because 'audit'": ("", WELL, "watch"),
    "stillgood mode ask --because 'audit'": ("", WELL, "ask"),
    "stillgood approve 7 --because 'seen by risk'": ("stillgood approve {next} --because 'seen by risk'", WELL, "v0"),
    "stillgood mode automatic --because 'audit done'": ("", WELL, "automatic"),
    "stillgood mode": ("", WELL, "automatic"),
    "stillgood promote": ("stillgood promote v2", WELL, "v2"),
    "stillgood rollback": ("stillgood rollback --because 'complaints'", WELL, "now     v0"),
    "stillgood release": ("stillgood release --because 'seen to'", WELL, "released"),
    "stillgood monitor": ("stillgood monitor --until 2026-11-24T00:00:00Z --hours 24", WELL, "found:"),
    "stillgood report": ("", WELL, "found:"),
    "stillgood replay": ("stillgood replay --policy simple", LOOK, "nothing was written"),
    "stillgood explain": ("stillgood explain --prediction {prediction}", WELL, "probability"),
    "stillgood decisions": ("", WELL, "rollback"),
    "stillgood audit": ("stillgood audit --replay all", WELL, "decisions"),
    "stillgood quarantine": ("stillgood quarantine list", WELL, "1 rows"),
    "stillgood restore models/ --dry": ("", WELL, "would come back"),
    "stillgood restore models/": ("", WELL, "are back"),
    "stillgood contract": ("stillgood contract apply contract.json --because 'fewer rows'", WELL, "monitoring"),
    "stillgood forget": ("stillgood forget --entity c5-1", WELL, "row"),
    "stillgood move": ("stillgood move --to-store copy", WELL, "whole"),
    "stillgood labels": ("stillgood labels add outcomes.csv", WELL, "wait"),
}


def test_every_command_of_the_runbook_is_run_here() -> None:
    known = {*FIRST, *LATER, *SHELL}
    lines = [line for line in TYPED if line and not line.startswith(("alias ", "{"))]  # a policy's JSON is no command
    assert lines
    assert [line for line in lines if line not in known] == []
    assert {line.split()[1] for line in known if line.startswith("stillgood ")} >= INLINE


def type_in(capsys: pytest.CaptureFixture[str], words: str, status: int, says: str) -> str:
    code = main(shlex.split(words)[1:])
    printed = capsys.readouterr()
    assert (code, says in printed.out) == (status, True), f"{words}: {code}\n{printed.out}\n{printed.err}"
    return printed.out


def enter(stack: Stack, monkeypatch: pytest.MonkeyPatch, folder: Path, bucket: str) -> None:
    """As `make shell` does, but for another bucket, which no API serves."""
    for name, value in shell.variables(stack.cloud.home, os.environ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STILLGOOD_BUCKET", bucket)
    monkeypatch.delenv("STILLGOOD_API_URL")
    monkeypatch.chdir(folder)
    s3 = stack.cloud.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def test_the_first_model_by_the_runbook_alone(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(stack, monkeypatch, tmp_path, "runbook-first")
    (tmp_path / "contract.json").write_text(json.dumps(story.CONTRACT))
    (tmp_path / "customers.csv").write_bytes(b"\n".join(story.table(600, 5).split(b"\n")[:-2]))
    for line, (words, status, says) in FIRST.items():
        type_in(capsys, words or line, status, says)


def test_the_runbooks_commands_on_a_life(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(stack, monkeypatch, tmp_path, STORY)
    store = Boto3ObjectStore(STORY, stack.cloud.client("s3"))
    made = story.write(MemoryObjectStore())
    story.capture(made, story.NOW, 1, 3, 0.0, "one")
    for info in made.list(""):
        store.put(info.key, made.get(info.key).data)
    deps = PromoteDeps(store, lambda: story.NOW)

    def ask(n: int) -> int:
        set_mode({"action": "mode", "mode": "ask", "request_id": f"ask-{n}", "reason": "Audit."}, deps)
        event = {"action": "rollback", "to": None, "request_id": f"monitor:{n}", "reason": "v0 is better"}
        return int(roll_back(event, deps)["decision"])

    contract = story.CONTRACT | {"monitoring": {"min_rows": 60}}
    (tmp_path / "contract.json").write_text(json.dumps(contract))
    (tmp_path / "outcomes.csv").write_text("prediction_id,label,event_time\nnobody,yes,2026-11-20T00:00:00Z\n")
    names: dict[str, object] = {"case": ask(1), "prediction": "one-0"}
    for line, (words, status, says) in LATER.items():
        if line.startswith("stillgood approve"):
            names["next"] = ask(2)
        if line == "stillgood restore models/ --dry":
            for info in list(store.list("models/")):
                store.delete(info.key)
        type_in(capsys, (words or line).format(**names), status, says)
    pointer = Registry(store).pointer()
    assert pointer is not None
    assert load_model(store, pointer).version == "v0"


# What `stillgood` has no word for; `aws` is tests/local/aws_words.py, so that no AWS CLI is needed.
SHELL = (
    "aws cloudformation describe-stacks --stack-name stillgood --query 'Stacks[0].Outputs' --output table",
    "aws sqs receive-message --queue-url $DeadLettersUrl --visibility-timeout 300 > letter.json",
    "jq -r '.Messages[0].Body' letter.json > body.json; jq .requestPayload body.json > event.json",
    "invoke --function-name $(jq -r .requestContext.functionArn body.json) --payload file://event.json /dev/stdout",
    "aws sqs delete-message --queue-url $DeadLettersUrl --receipt-handle $(jq -r '.Messages[0].ReceiptHandle'"
    " letter.json)",
    "aws stepfunctions start-execution --state-machine-arn $BatchJob --input file://events/batch_job.json",
)
INVOKED = ("events/train.json", "events/rollback.json")  # by `invoke` within a sentence


@pytest.mark.skipif(shutil.which("jq") is None, reason="the runbook reads letters by jq")
def test_the_runbooks_aws_commands(stack: Stack, outputs: dict[str, str], tmp_path: Path) -> None:
    tool = tmp_path / "aws"
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/local/aws_words.py "$@"\n')
    tool.chmod(0o755)
    (tmp_path / "events").symlink_to(ROOT / "events")
    assert all(f"file://{name}" in RUNBOOK for name in INVOKED)
    client = stack.cloud.client("lambda")
    client.invoke(FunctionName=stack.functions["promote"], InvocationType="Event", Payload=b'{"by": "mistake"}')
    made = shell.variables(stack.cloud.home, os.environ)
    made["PATH"] = os.pathsep.join([str(tmp_path), made["PATH"]])
    wait = f"until {SHELL[1]} && grep -q Messages letter.json; do sleep 0.5; done"
    # The letter's event is mended before it is sent again, as the runbook says.
    mend = "cp events/rollback.json event.json"
    sent = [f"invoke --function-name $PromoteFunction --payload file://{INVOKED[1]} /dev/stdout"]
    lines = [SHELL[0], wait, SHELL[2], mend, *SHELL[3:], *sent]
    script = "\n".join(
        ["shopt -s expand_aliases", "set -e", *[line for line in TYPED if line.startswith("alias ")], *lines]
    )
    done = subprocess.run(["bash", "-c", script], env=made, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "TrainFunction" in done.stdout
    assert "executionArn" in done.stdout
    assert "Already decided" in done.stdout or "duplicate" in done.stdout

"""The unmodified ``sam build`` and ``sam deploy`` onto the embedded cloud, with nothing but the endpoint set; then a
life on what came up.

It needs the SAM CLI, and no container engine.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.storage.registry import Registry

from local import cloud, customers, datasets
from local.api import Api
from local.cloud import ROOT
from local.sam import FIXED

pytestmark = pytest.mark.skipif(
    shutil.which("sam") is None, reason="sam deploy cannot run: the SAM CLI (`sam`) is not on the PATH"
)
WAIT_SECONDS = 90.0


@dataclass(frozen=True)
class Deployed:
    cloud: cloud.Cloud
    outputs: Mapping[str, str]

    @property
    def store(self) -> Boto3ObjectStore:
        return Boto3ObjectStore(self.outputs["BucketName"], self.cloud.client("s3"))

    @property
    def api(self) -> Api:
        identity = self.outputs["ApiUrl"].partition("://")[2].partition(".")[0]
        return Api(f"{self.cloud.endpoint}/_aws/execute-api/{identity}")

    def invoke(self, step: str, event: Any) -> Any:
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.outputs[f"{step.title()}Function"], Payload=json.dumps(event).encode()
        )
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def decisions(self, at_least: int) -> list[Any]:
        """The decision log, once it holds so many."""
        deadline = time.monotonic() + 3 * WAIT_SECONDS
        while len(log := list(Registry(self.store).decisions())) < at_least:
            assert time.monotonic() < deadline, f"{len(log)} decisions"
            time.sleep(0.2)
        return log


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    home = tmp_path_factory.mktemp("sam-deploy")
    here = cloud.start(home)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": here.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SAM_CLI_TELEMETRY": "0",
        "PATH": f"{Path(sys.executable).resolve().parent}{os.pathsep}{os.environ['PATH']}",
    }
    try:
        schedule = (
            "Policy=simple ApiAuth=none MonitorSchedule='rate(1 minute)' SettleSeconds=0 ChampionTtlSeconds=0"
            " WindowHours=0.016666666666666666"
        )
        # Folders of its own, because other tests build beside it.
        build = ["build", "--build-dir", str(home / "build"), "--cache-dir", str(home / "cache")]
        deploy = [
            "deploy",
            "--template-file",
            str(home / "build" / "template.yaml"),
            "--config-file",
            str(ROOT / "samconfig.toml"),
            "--no-confirm-changeset",
        ]
        for words in (build, [*deploy, "--no-progressbar", "--parameter-overrides", schedule]):
            done = subprocess.run(
                ["sam", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr[-3000:]
        stack = here.client("cloudformation").describe_stacks(StackName="stillgood")["Stacks"][0]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        yield Deployed(here, {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]})
    finally:
        cloud.stop(home)


def test_sam_validate_has_nothing_to_say() -> None:
    environment = os.environ | {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}
    words = ["sam", "validate", "--lint", "--template", str(ROOT / "template.yaml")]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout


def test_a_life_on_what_sam_deployed(deployed: Deployed) -> None:
    api, store = deployed.api, deployed.store
    first, others = customers.split(datasets.telco())
    assert api.predict({}).status == 503
    store.put("contract.json", json.dumps(json.loads(datasets.contract_text("telco")) | FIXED).encode())
    store.put("data/2026-08-25/customers.csv", first.to_csv(index=False).encode())

    trained = deployed.invoke("train", {"request_id": "first", "reason": "first model"})
    assert deployed.decisions(1)[0].action == "promote"

    # Customers unlike those that were learnt from, and new labelled rows: by the policy "simple" a reason to train
    # again.
    store.put("data/2026-08-26/more.csv", others.to_csv(index=False).encode())
    usual = customers.as_requests(others, datasets.contract("telco"))[:400]
    changed = [row | {"contract": "Month-to-month", "tenure": min(row["tenure"], 5)} for row in usual]
    answer = api.predict(changed)
    assert (answer.status, {prediction["model_version"] for prediction in answer.body["predictions"]}) == (
        200,
        {trained["version"]},
    )
    captured = [line for info in store.list("capture/") for line in store.get(info.key).data.splitlines()]
    assert len(captured) == 400

    second = deployed.decisions(2)[1]  # by the schedule that sam deployed: monitor invoked train, and train promote
    assert second.request_id.startswith("monitor:")
    reports = [json.loads(store.get(info.key).data) for info in store.list("monitoring/reports/")]
    assert all(report["champion"]["version"] == trained["version"] for report in reports if report["rows"])
    (judged,) = [report for report in reports if report["decision"]["action"] == "retrain"]
    assert judged["rows"] == 400
    pointer = Registry(store).pointer()
    assert pointer is not None
    assert (pointer.version != trained["version"]) == (second.action == "promote")

    result = deployed.invoke("promote", json.loads((ROOT / "events" / "rollback.json").read_text()))
    assert result["result"] == ("rolled back" if second.action == "promote" else "refused")
    assert [decision.n for decision in deployed.decisions(3)] == [1, 2, 3]
    assert api.get("/status").body["champion"]["version"] == trained["version"]
    assert api.predict(usual[:1]).body["predictions"][0]["model_version"] == trained["version"]

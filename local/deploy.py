"""Deploys ``template.yaml`` onto the embedded cloud by CloudFormation, as ``sam deploy`` does."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from stillgood.aws.s3_boto3 import Boto3ObjectStore

from local.cloud import ROOT, Cloud, CloudError, running, start, stop
from local.package import API_ID, ARTIFACTS, packaged

STACK = "stillgood"
BUCKET = "stillgood-state"
DEPLOY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack. ``functions`` maps a step's name to its function's name; ``machine``: the ARN of the state
    machine of batch jobs.
    """

    cloud: Cloud
    bucket: str
    functions: Mapping[str, str]
    machine: str

    @property
    def store(self) -> Boto3ObjectStore:
        """The bucket, as the library sees it."""
        return _store(self.cloud, self.bucket)

    @property
    def api_url(self) -> str:
        """The API by path, which every HTTP client can reach; its Host-header form needs ``*.localhost`` to resolve."""
        return f"{self.cloud.endpoint}/_aws/execute-api/{API_ID}"

    @property
    def docs_url(self) -> str:
        """The API's interactive documentation, by Host header: its page asks for /openapi.json, without a path before
        it.
        """
        return f"http://{API_ID}.execute-api.localhost:{self.cloud.port}/docs"

    @property
    def files(self) -> Path:
        """Where the emulator keeps the bucket's objects, one file a key."""
        return self.cloud.home / "s3" / "000000000000" / self.bucket

    def invoke(self, step: str, event: Mapping[str, Any]) -> Any:
        """Invoke a step and wait for its answer, a JSON value.

        Raises:
            CloudError: the function raised; the message has the type and text it raised with.
        """
        client = self.cloud.client("lambda", read_seconds=900.0)
        answer = client.invoke(FunctionName=self.functions[step], Payload=json.dumps(event).encode())
        payload = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise CloudError(f"{step} failed: {payload.get('errorType')}: {payload.get('errorMessage')}")
        return payload


@cache
def _store(cloud: Cloud, bucket: str) -> Boto3ObjectStore:
    """One client for all who look: making one costs 50 ms of CPU."""
    return Boto3ObjectStore(bucket, cloud.client("s3"))


def bring_up(home: Path, parameters: Mapping[str, str], *, root: Path = ROOT) -> Stack:
    """The stack of ``home``, running the code and parameters of now; what runs already and is the same is left alone.

    A change restarts the emulator: its CloudFormation would give an updated API another id. Objects stay.
    """
    wanted = _fingerprint(root, parameters)
    cloud = running(home)
    if cloud is not None:
        stack = _noted(cloud, wanted)
        if stack is not None:
            return stack
        stop(home)
    stack = deploy(start(home), parameters, root=root)
    note = {
        "pid": stack.cloud.pid,
        "fingerprint": wanted,
        "bucket": stack.bucket,
        "functions": dict(stack.functions),
        "machine": stack.machine,
        "window_hours": parameters.get(
            "WindowHours"
        ),  # of `stillgood monitor`, too, so that its windows are the schedule's
        "api": stack.api_url,  # where `stillgood rollback` sees whether it serves
    }
    (home / "stack.json").write_text(json.dumps(note))
    return stack


def deploy(
    cloud: Cloud,
    parameters: Mapping[str, str],
    *,
    root: Path = ROOT,
) -> Stack:
    """Create the stack of ``root/template.yaml``. The bucket is made first and outlives everything.

    The emulator must have come up fresh: it draws new ids when it updates an API in place.

    Raises:
        CloudError: CloudFormation refused, or a resource failed; the message has its reason.
    """
    s3 = cloud.client("s3")
    for bucket in (BUCKET, ARTIFACTS):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    template = packaged(root, lambda key, body: s3.put_object(Bucket=ARTIFACTS, Key=key, Body=body))
    formation = cloud.client("cloudformation")
    try:
        formation.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(template),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in {"BucketName": BUCKET, **parameters}.items()
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            DisableRollback=True,  # a rollback here would drop the bucket, which a real one retains
        )
    except ClientError as error:
        raise CloudError(f"CloudFormation refused template.yaml: {error}") from error
    outputs = _finished(formation)
    functions = {
        name.removesuffix("Function").lower(): value for name, value in outputs.items() if name.endswith("Function")
    }
    return Stack(cloud, outputs["BucketName"], functions, outputs["BatchJob"])


def _fingerprint(root: Path, parameters: Mapping[str, str]) -> str:
    template = packaged(root, lambda key, body: None)
    return hashlib.sha256(json.dumps([template, dict(parameters)], sort_keys=True).encode()).hexdigest()


def _noted(cloud: Cloud, fingerprint: str) -> Stack | None:
    """What ``bring_up`` deployed onto this very process, if it is what is wanted."""
    try:
        note = json.loads((cloud.home / "stack.json").read_text())
        if (note["pid"], note["fingerprint"]) == (cloud.pid, fingerprint):
            return Stack(cloud, note["bucket"], note["functions"], note["machine"])
    except (OSError, ValueError, KeyError):
        pass
    return None


def outputs(cloud: Cloud) -> dict[str, str]:
    """The stack's outputs by name, as `aws cloudformation describe-stacks` shows them."""
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return _named(stack)


def _named(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _finished(formation: Any) -> dict[str, str]:
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return _named(stack)
        if "FAILED" in stack["StackStatus"] or "ROLLBACK" in stack["StackStatus"]:
            raise CloudError(
                f"template.yaml: {stack['StackStatus']}: {stack.get('StackStatusReason', 'no reason given')}"
            )
        time.sleep(0.1)
    raise CloudError(f"template.yaml was not deployed within {DEPLOY_SECONDS:.0f} s")

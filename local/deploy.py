"""Deploys ``template.yaml`` onto the embedded cloud by CloudFormation, as ``sam package`` and ``sam deploy`` would.

The code is zipped without its dependencies: functions run in the project's own environment here, which has them all.
That a built package is complete is checked elsewhere, on the built package.
"""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from local.cloud import ROOT, Cloud, CloudError

STACK = "lifecycle"
BUCKET = "lifecycle-state"
ARTIFACTS = "lifecycle-artifacts"
# MiniStack draws a new API id at every deployment unless a tag pins it (eight hexadecimal digits): a curl from yesterday works.
API_ID = "11fec7c1"
DEPLOY_SECONDS = 60.0
NOT_CODE = ("requirements*.txt", "Makefile", "pyproject.toml", "*.pyc", "*.md")


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack. ``functions`` maps a step's name to its function's name."""

    cloud: Cloud
    bucket: str
    functions: Mapping[str, str]

    @property
    def api_url(self) -> str:
        """The API by path, which every HTTP client can reach; its Host-header form needs ``*.localhost`` to resolve."""
        return f"{self.cloud.endpoint}/_aws/execute-api/{API_ID}"

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


def deploy(
    cloud: Cloud,
    parameters: Mapping[str, str],
    *,
    root: Path = ROOT,
    tell: Callable[[str], None] = lambda line: None,
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
    outputs = _finished(formation, tell)
    functions = {
        name.removesuffix("Function").lower(): value for name, value in outputs.items() if name.endswith("Function")
    }
    return Stack(cloud, outputs["BucketName"], functions)


def packaged(root: Path, upload: Callable[[str, bytes], object]) -> dict[str, Any]:
    """The template with every local code path replaced by an uploaded zip, named by its content."""
    template: dict[str, Any] = yaml.load((root / "template.yaml").read_text(), Loader=_TemplateLoader)  # noqa: S506 -- a SafeLoader
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = _uploaded(root / properties["CodeUri"], "", upload)
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = _uploaded(root / properties["ContentUri"], "python/", upload)
        elif resource["Type"] == "AWS::ApiGatewayV2::Api":
            properties.setdefault("Tags", {})["ms-custom-id"] = API_ID
    return template


def _uploaded(folder: Path, prefix: str, upload: Callable[[str, bytes], object]) -> dict[str, str]:
    body = _zipped(folder, prefix)
    key = f"{folder.name}-{hashlib.sha256(body).hexdigest()[:16]}.zip"
    upload(key, body)
    return {"Bucket": ARTIFACTS, "Key": key}


def _zipped(folder: Path, prefix: str) -> bytes:
    """The same files give the same bytes: sorted, with a fixed date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_code(folder)):
            entry = zipfile.ZipInfo(prefix + path.relative_to(folder).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _code(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not any(path.match(pattern) for pattern in NOT_CODE):
            yield path


def _finished(formation: Any, tell: Callable[[str], None]) -> dict[str, str]:
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            resources = formation.describe_stack_resources(StackName=STACK)["StackResources"]
            tell(f"{len(resources)} resources created")
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        if "FAILED" in stack["StackStatus"] or "ROLLBACK" in stack["StackStatus"]:
            raise CloudError(
                f"template.yaml: {stack['StackStatus']}: {stack.get('StackStatusReason', 'no reason given')}"
            )
        time.sleep(0.1)
    raise CloudError(f"template.yaml was not deployed within {DEPLOY_SECONDS:.0f} s")


class _TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (``!Ref x``) as their long ones (``{"Ref": "x"}``)."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


yaml.add_multi_constructor("!", _long_form, Loader=_TemplateLoader)

"""What ``sam package`` does: every local code path of the template becomes an uploaded zip, named by its content.

The code is zipped without its dependencies: functions run in the project's own environment here, which has them all.
That a built package is complete is checked elsewhere, on the built package.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

ARTIFACTS = "stillgood-artifacts"
# MiniStack draws a new API id at every deployment unless a tag pins it (eight hexadecimal digits): yesterday's curl
# works.
API_ID = "11fec7c1"
NOT_CODE = ("requirements*.txt", "Makefile", "pyproject.toml", "*.pyc", "*.md")


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

"""As much of AWS CLI as docs/operations.md uses, from botocore's own models: ``aws_words.py sqs receive-message
--queue-url ...``. It stands for `aws` where none is installed.
"""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore import xform_name
from botocore.response import StreamingBody

_OWN = ("--query", "--output", "--cli-binary-format")


def main(words: list[str]) -> int:
    service, operation, *rest = words
    client = boto3.client(service)
    name = {
        xform_name(operation_name, "-"): operation_name for operation_name in client.meta.service_model.operation_names
    }[operation]
    members = client.meta.service_model.operation_model(name).input_shape.members
    flags = {f"--{xform_name(member, '-')}": member for member in members}
    fields: dict[str, Any] = {}
    own: dict[str, str] = {}
    files: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in _OWN:
            own[word] = rest.pop(0)
        elif word in flags:
            shape, value = members[flags[word]].type_name, rest.pop(0)
            value = Path(value.removeprefix("file://")).read_text() if value.startswith("file://") else value
            fields[flags[word]] = int(value) if shape == "integer" else value
        else:
            files.append(word)
    answer = getattr(client, xform_name(name))(**fields)
    answer.pop("ResponseMetadata")
    for key, value in answer.items():
        if isinstance(value, StreamingBody):
            Path(files[0]).write_bytes(value.read())
            answer[key] = None
    shown = jmespath.search(own["--query"], answer) if "--query" in own else answer
    print(json.dumps(shown, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

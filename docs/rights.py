"""``make docs``: writes docs/rights.md, who may call what, from the template's routes and scopes; tests hold the page
to both, and each cell of its matrix to what the API does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.package import packaged

ROOT = Path(__file__).parent.parent
PAGE = Path(__file__).with_name("rights.md")
# The parameter that holds the scope of each right, in the order of the matrix.
SCOPE_PARAMETERS = {
    "predict": "JwtPredictScope",
    "labels:write": "JwtLabelsScope",
    "operate": "JwtOperateScope",
}
ANSWERED = "answered"
# Per setting of ApiAuth: what a caller without the route's right gets, and one who says nothing about itself.
REFUSALS = {
    "iam": ("403", "403"),
    "jwt": ("403", "401"),
    "none": (ANSWERED, ANSWERED),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a route does; ``writes``: the prefixes of the bucket under which a request may leave something."""

    what: str
    writes: tuple[str, ...] = ()


EFFECTS = {
    "POST /predict": Effect("answers rows, and captures them", ("capture/", "idempotency/")),
    "POST /labels": Effect("tells outcomes, which judge and teach", ("labels/dt=", "quarantine/labels/")),
    "POST /actions": Effect("tells what was done about predictions", ("labels/actions/dt=", "quarantine/labels/")),
    "GET /model": Effect("shows the champion's figures"),
    "GET /status": Effect("shows what serves, what is wrong and what waits"),
    "GET /health": Effect("says whether a champion can be served"),
    "GET /metrics": Effect("shows the newest window's figures"),
    "GET /report": Effect("leads to the overview page"),
    "GET /report/{page+}": Effect("shows the pages for people"),
    "GET /openapi.json": Effect("shows the API's description and the contract's features"),
    "GET /docs": Effect("shows the description as a page"),
    "GET /docs/{file+}": Effect("serves that page's script and style"),
}


def rights(template: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The rights that open each route, any one of them, by the route's key; in the template's order."""
    by_parameter = {parameter: right for right, parameter in SCOPE_PARAMETERS.items()}
    found: dict[str, tuple[str, ...]] = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            properties = resource["Properties"]
            _, scopes, _ = properties["AuthorizationScopes"]["Fn::If"]
            found[properties["RouteKey"]] = tuple(by_parameter[scope["Ref"]] for scope in scopes)
    return found


def policy(
    right: str, template: Mapping[str, Any], api: str = "arn:aws:execute-api:REGION:ACCOUNT:API/$default"
) -> Any:
    """The IAM policy that gives ``right`` on the API, whose stage has the ARN ``api``."""
    paths = [key for key, opened_by in rights(template).items() if right in opened_by]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": [_resource(api, key) for key in paths]}
        ],
    }


def _resource(api: str, key: str) -> str:
    method, path = key.split(" ")
    return f"{api}/{method}{path.partition('{')[0]}{'*' if '{' in path else ''}"


def page(template: Mapping[str, Any]) -> str:
    """The text of docs/rights.md. Raises KeyError for a route whose effect nobody described."""
    names = list(SCOPE_PARAMETERS)
    head = ["route", "what it does", "writes under", *names]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for key, opened_by in rights(template).items():
        effect = EFFECTS[key]
        written = ", ".join(f"`{prefix}`" for prefix in effect.writes) or "nothing"
        cells = ["yes" if name in opened_by else "no" for name in names]
        lines.append(f"| `{key}` | {effect.what} | {written} | {' | '.join(cells)} |")
    settings = [
        f"| `{setting}` | {ANSWERED} | {without} | {unknown} |" for setting, (without, unknown) in REFUSALS.items()
    ]
    scopes = ", ".join(f"`{parameter}`" for parameter in SCOPE_PARAMETERS.values())
    policies = "\n".join(
        f"**{right}**\n```json\n{json.dumps(policy(right, template), indent=1)}\n```" for right in names
    )
    return f"""# Who may call what
Written by `make docs` from template.yaml. `tests/api/test_rights.py` and `tests/local/test_auth.py` hold each cell
to what the API does.

A caller has rights, and a route opens to any one of those that say *yes*. Who has several rights reaches the routes of
all of them.

{chr(10).join(lines)}

`ApiAuth` says how a caller shows its rights, and what happens to one who lacks them:

| `ApiAuth` | with the right | without the right | unsigned or without a valid token |
|---|---|---|---|
{chr(10).join(settings)}

- `iam`: a right is an IAM policy of the caller, as below. Requests are signed (SigV4), and the caller is known by its
  role's ARN.
- `jwt`: a right is a scope in the token; the parameters {scopes}
  name other scopes than those above.
- `none`: everybody may do everything. It is refused in prod, and stands as an alarm. Labels that nobody signed neither
  judge nor teach ([threats](threat-model.md)).

## Policies for `ApiAuth=iam`
Replace REGION, ACCOUNT and API (the first part of the output `ApiUrl`), and attach a policy to the role of whoever
calls.

{policies}
"""


if __name__ == "__main__":
    PAGE.write_text(page(packaged(ROOT, lambda key, body: None)), encoding="utf-8")

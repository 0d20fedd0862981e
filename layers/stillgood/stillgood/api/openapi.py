"""The contract's part of the OpenAPI document: which rows and labels are taken. The rest FastAPI writes from the
routes.
"""

from typing import Any

from fastapi import FastAPI

from stillgood.api.answers import Problem
from stillgood.domain.contract.contract import Contract, Feature
from stillgood.domain.contract.identity import LONGEST_ID

ROW = {"$ref": "#/components/schemas/Row"}
LABEL = {"$ref": "#/components/schemas/Label"}
_NO_CONTROL = r"^[^\u0000-\u001F\u007F-\u009F]*$"
# not blank, no control characters
_ID_TEXT = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$"


ACTION = {
    "type": "object",
    "properties": {
        "prediction_id": {"type": ["string", "null"], "description": "As the prediction's answer gave it"},
        "entity_id": {"type": ["string", "null"], "description": "Whom it was done about; instead of prediction_id"},
        "action": {"type": "string", "minLength": 1, "maxLength": 80, "description": "What was done, such as call"},
        "time": {"type": "string", "format": "date-time", "description": "When it was done; never in the future"},
        "cost": {"type": ["number", "null"], "minimum": 0, "description": "In the currency of the contract's costs"},
    },
    "required": ["action", "time"],
    "additionalProperties": False,
}


def problems(**descriptions: str) -> dict[int | str, dict[str, Any]]:
    """A route's ``responses`` that are problem details: ``_400="..."`` and so on. Every route may fail with a 500."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    said = {**descriptions, "_500": "An error nobody foresaw"}
    return {int(status[1:]): {"description": text, "content": content} for status, text in said.items()}


def body_of(schema: dict[str, Any]) -> dict[str, Any]:
    """A route's ``openapi_extra`` for a body that the route reads itself: one object of ``schema``, or a list of
    them.
    """
    either = {"oneOf": [schema, {"type": "array", "items": schema}]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": either}}}}


def document(app: FastAPI, contract: Contract | None, max_rows: int) -> dict[str, Any]:
    """FastAPI's document of ``app``, for rows of ``contract``; of any shape while there is no champion yet."""
    made: dict[str, Any] = FastAPI.openapi(app)
    schemas = {
        **made["components"]["schemas"],
        "Row": {"type": "object"} if contract is None else row_schema(contract),
        "Label": label_schema(contract),
        "Problem": Problem.model_json_schema(ref_template="#/components/schemas/{model}"),
    }
    schemas |= schemas["Problem"].pop("$defs", {})
    made = {**made, "info": dict(made["info"]), "components": {"schemas": schemas}}
    for path in ("/predict", "/labels", "/actions"):
        if path in made["paths"]:
            content = made["paths"][path]["post"]["requestBody"]["content"]["application/json"]
            content["schema"]["oneOf"][1]["maxItems"] = max_rows
            if path == "/predict" and contract is not None:
                row = contract.example()
                content["examples"] = {
                    "one": {"summary": "One row", "value": row},
                    "many": {"summary": "A list of rows", "value": [row, row]},
                }
    if contract is not None:
        target = contract.target
        made["info"] |= {"title": f"Predictions of {target.name} ({contract.name})", "version": contract.version}
        decision = schemas["Prediction"]["properties"]["decision"]
        decision["description"] = f"true: {target.name} = {target.positive}"
    return made


def row_schema(contract: Contract) -> dict[str, Any]:
    """The JSON Schema of one row: what ``RowChecker.check`` accepts as JSON, no less and no more."""
    properties = {feature.name: _feature(feature) for feature in contract.features}
    if contract.id_column:
        properties[contract.id_column] = {
            "description": "Whom the row is about; comes back as entity_id",
            "anyOf": [
                {"type": "string", "maxLength": LONGEST_ID, "pattern": _NO_CONTROL},
                {"type": "integer", "exclusiveMinimum": -(2**63), "exclusiveMaximum": 2**63},
                {"type": "null"},
            ],
        }
    for name, meaning in (
        (contract.time_column, "When the row was true"),
        (contract.control.exempt if contract.control else None, "True for whom is never left alone; not read else"),
    ):
        if name:
            properties[name] = {"description": meaning}
    properties[contract.target.name] = {"description": "The outcome, if it is known already; not read"}
    required = [feature.name for feature in contract.features if not feature.nullable and feature.if_missing is None]
    return {"type": "object", "properties": properties, "required": required} | (
        {"additionalProperties": False} if contract.extra == "refuse" else {}
    )


def _feature(feature: Feature) -> dict[str, Any]:
    optional = feature.nullable or feature.if_missing is not None
    schema: dict[str, Any]
    if feature.kind == "date":
        schema = {"type": "string", "description": "An ISO 8601 date, such as 2026-11-23"}
        derived = {"enum": list(feature.levels)} if feature.categorical else {"type": "number"}
        schema = {"anyOf": [schema, derived]}
    elif feature.kind == "categorical":
        schema = (
            {"type": "string", "enum": [*feature.levels, *feature.aliases]}
            if feature.unseen == "refuse"
            else {"type": "string", "maxLength": 256}
        )
    elif feature.kind == "boolean":
        schema = {"enum": [True, False, 1, 0]}
    else:
        schema = {"type": "integer" if feature.kind == "integer" else "number"}
        bounds = {"minimum": feature.minimum, "maximum": feature.maximum}
        schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    if optional:
        schema = {"anyOf": [schema, {"type": "null"}]}
    if feature.if_missing is not None:
        schema["default"] = feature.if_missing
    if feature.description:
        schema["description"] = feature.description
    return schema


def label_schema(contract: Contract | None) -> dict[str, Any]:
    """The JSON Schema of one label, or of a watermark alone."""
    moment = {"type": "string", "format": "date-time"}
    complete = moment | {"description": "Up to when the sender has sent all labels"}
    outcome: dict[str, Any] = {"type": "string"}
    if contract is not None:
        outcome["enum"] = [contract.target.positive, contract.target.negative]
    identity = {
        "oneOf": [
            {"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": _ID_TEXT},
            {"type": "integer", "exclusiveMinimum": -(2**63), "exclusiveMaximum": 2**63},
        ]
    }
    label = {
        "type": "object",
        "properties": {
            "prediction_id": {"description": "As the prediction's answer gave it"},
            "entity_id": {"description": "Whom the rows were about; instead of prediction_id"},
            "label": outcome,
            "event_time": moment | {"description": "When the outcome became true; never in the future"},
            "complete_until": complete,
        },
        "oneOf": [
            {"required": ["prediction_id"], "properties": {"prediction_id": identity, "entity_id": {"type": "null"}}},
            {"required": ["entity_id"], "properties": {"entity_id": identity, "prediction_id": {"type": "null"}}},
        ],
        "required": ["label", "event_time"],
        "additionalProperties": False,
    }
    watermark = {
        "type": "object",
        "properties": {"complete_until": complete},
        "required": ["complete_until"],
        "additionalProperties": False,
    }
    return {"anyOf": [label, watermark]}

"""The OpenAPI 3.1 document of the API, written from the champion's contract, so that it says exactly which rows are answered.

Built when somebody asks for it, never at a cold start.
"""

from typing import Any

from stillgood.domain.contract.contract import Contract, Feature

_ID_TEXT = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$"  # not blank, no control characters
PROBLEM = {"$ref": "#/components/schemas/Problem"}


def document(contract: Contract | None, max_rows: int) -> dict[str, Any]:
    """The document for ``contract``; for rows of any shape while there is no champion yet."""
    title = "Predictions" if contract is None else f"Predictions of {contract.target.name} ({contract.name})"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": "1" if contract is None else contract.version,
            "description": "Every answer carries its exact reasons; every error is an RFC 9457 problem.",
        },
        "paths": {
            "/predict": {"post": _predict(contract, max_rows)},
            "/labels": {"post": _labels(contract, max_rows)},
            "/model": {
                "get": _get(
                    "model", "The champion: version, metrics, threshold and contract", "Model", can_be_absent=True
                )
            },
            "/status": {
                "get": _get("status", "How the champion and the capture stand in the process that answers", "Status")
            },
        },
        "components": {"schemas": _schemas(contract)},
    }


def row_schema(contract: Contract) -> dict[str, Any]:
    """The JSON Schema of one row: what ``Contract.check`` accepts as JSON, no less and no more."""
    properties = {feature.name: _feature(feature) for feature in contract.features}
    for name, meaning in (
        (contract.id_column, "Whom the row is about; comes back as entity_id"),
        (contract.time_column, "When the row was true"),
    ):
        if name:
            properties[name] = {"description": meaning}
    properties[contract.target.name] = {"description": "The outcome, if it is known already; not read"}
    required = [feature.name for feature in contract.features if not feature.nullable and feature.if_missing is None]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


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


def _labels(contract: Contract | None, max_rows: int) -> dict[str, Any]:
    outcome: dict[str, Any] = {"type": "string"}
    if contract is not None:
        outcome["enum"] = [contract.target.positive, contract.target.negative]
    one = {"$ref": "#/components/schemas/Id"}
    label: dict[str, Any] = {
        "type": "object",
        "properties": {
            "prediction_id": {"description": "As the prediction's answer gave it"},
            "entity_id": {"description": "Whom the rows were about; instead of prediction_id"},
            "label": outcome,
            "event_time": {"type": "string", "format": "date-time", "description": "When the outcome became true"},
        },
        "oneOf": [
            {"required": ["prediction_id"], "properties": {"prediction_id": one, "entity_id": {"type": "null"}}},
            {"required": ["entity_id"], "properties": {"entity_id": one, "prediction_id": {"type": "null"}}},
        ],
        "required": ["label", "event_time"],
        "additionalProperties": False,
    }
    schema = {"oneOf": [label, {"type": "array", "items": label, "maxItems": max_rows}]}
    taken = {
        "type": "object",
        "properties": {
            "accepted": {"type": "integer"},
            "refused": {"type": "integer"},
            "duplicate": {"type": "boolean", "description": "This very batch was taken in before; nothing changed"},
            "violations": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "operationId": "labels",
        "summary": "Tell how predictions turned out; sending the same again changes nothing",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {"description": "Kept", "content": {"application/json": {"schema": taken}}},
            "400": _problem("Not JSON, or neither an object nor a list of objects"),
            "413": _problem("Too many labels or bytes for one request"),
            "422": _problem("None of the labels can be used: what is wrong with each"),
            "503": _problem("No champion yet, or the store does not answer: send the batch again"),
            "500": _problem("An error nobody foresaw"),
        },
    }


def _predict(contract: Contract | None, max_rows: int) -> dict[str, Any]:
    row = {"$ref": "#/components/schemas/Row"}
    content: dict[str, Any] = {"schema": {"oneOf": [row, {"type": "array", "items": row, "maxItems": max_rows}]}}
    if contract is not None:
        example = contract.example()
        content["examples"] = {
            "one": {"summary": "One row", "value": example},
            "many": {"summary": "A list of rows", "value": [example, example]},
        }
    one, many = {"$ref": "#/components/schemas/Prediction"}, {"$ref": "#/components/schemas/Predictions"}
    return {
        "operationId": "predict",
        "summary": "Decide one row or a list of rows",
        "description": "One object is answered by one prediction, a list by {predictions: [...]} in its order. One bad value refuses the request.",
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "200": {"description": "Predicted", "content": {"application/json": {"schema": {"oneOf": [one, many]}}}},
            "400": _problem("Not JSON, or neither an object nor a list of objects"),
            "413": _problem("Too many rows or bytes for one request"),
            "422": _problem("Values break the contract: all of them are named"),
            "503": _problem("No champion yet, or the store does not answer"),
            "500": _problem("An error nobody foresaw"),
        },
    }


def _get(name: str, summary: str, schema: str, can_be_absent: bool = False) -> dict[str, Any]:
    good = {
        "description": summary,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
    responses = {"200": good, "500": _problem("An error nobody foresaw")}
    if can_be_absent:
        responses["503"] = _problem("No champion yet, or the store does not answer")
    return {"operationId": name, "summary": summary, "responses": responses}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _schemas(contract: Contract | None) -> dict[str, Any]:
    text, number, flag, any_value = {"type": "string"}, {"type": "number"}, {"type": "boolean"}, dict[str, Any]()
    unit, whole = {"type": "number", "minimum": 0, "maximum": 1}, {"type": "integer", "minimum": 0}
    nullable_text = {"type": ["string", "null"]}
    decided = (
        "logit >= the model's threshold"
        if contract is None
        else f"true: {contract.target.name} = {contract.target.positive}"
    )
    prediction = {
        "prediction_id": text,
        "entity_id": nullable_text,
        "probability": unit | {"description": "Calibrated"},
        "decision": flag | {"description": decided},
        "threshold": unit | {"description": "The probability from which the decision is true"},
        "score": unit | {"description": "The class-balanced score, for ranking"},
        "confidence": {"type": "number", "minimum": 0, "maximum": 0.5, "description": "|score - 0.5|"},
        "logit": number | {"description": "baseline + all contributions"},
        "baseline": number,
        "reasons": {
            "type": "array",
            "description": "Largest first; added to the baseline in the contract's order of features they are the logit, to the last bit",
            "items": _object({"feature": text, "value": any_value, "contribution": number}),
        },
        "repairs": {
            "type": "array",
            "items": _object({"field": text, "rule": text, "before": any_value, "after": any_value}),
        },
        "model_version": text,
        "operating_point": nullable_text
        | {"description": "Whose calibration and threshold decided; null: the model's own"},
    }
    violation = _object({"row": whole, "field": text, "rule": text, "value": any_value, "message": text})
    return {
        "Id": {
            "oneOf": [
                {"type": "string", "minLength": 1, "maxLength": 256, "pattern": _ID_TEXT},
                {"type": "integer", "exclusiveMinimum": -(2**63), "exclusiveMaximum": 2**63},
            ]
        },
        "Row": {"type": "object"} if contract is None else row_schema(contract),
        "Prediction": _object(prediction),
        "Predictions": _object(
            {"predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}}}
        ),
        "Model": _object(
            {
                "version": text,
                "metrics": {"type": "object"},
                "threshold": unit,
                "generation": whole,
                "contract": {"type": "object"},
            }
        ),
        "Status": _object(
            {
                "serving": flag,
                "champion": {"type": "object"},
                "operating_point": {"type": ["object", "null"]},
                "capture": {"type": "object"},
                "limits": {"type": "object"},
            }
        ),
        "Problem": _object(
            {"type": text, "title": text, "status": whole, "detail": text, "correlation_id": text},
            violations={"type": "array", "items": violation},
        ),
    }

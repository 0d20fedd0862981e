"""Every field of a contract: what it means, which values it takes, one that it does not. The JSON Schema and
docs/contract.md are made of this.

``tests/domain/contract/test_fields.py`` holds the strict reader to it: each example is read, each wrong value is
refused at its place.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from stillgood.domain.contract.contract import (
    FORMAT,
    FORMAT_VERSION,
    Absent,
    BelowFloors,
    CallerRule,
    CaptureRule,
    CompleteUntil,
    Derive,
    Extra,
    Family,
    Kind,
    MayChange,
    Monotone,
    NegativeNumber,
    PointMode,
    Unseen,
)

SCHEMA_URL = "https://raw.githubusercontent.com/stillgood/stillgood/main/contracts/contract.schema.json"
_REQUIRED: Any = object()
_DAYS = 36_525
_TEXT = {"type": "string", "pattern": r"\S"}
_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}
_BLANKS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_CHARACTER = {"type": "string", "minLength": 1, "maxLength": 1}
_FLAG = {"type": "boolean"}
_NUMBER = {"type": "number"}


def _within(low: float, high: float | None = None, whole: bool = False) -> dict[str, Any]:
    bounds = {"minimum": low} | ({} if high is None else {"maximum": high})
    return {"type": "integer" if whole else "number", **bounds}


def _choice(literal: Any) -> dict[str, Any]:
    return {"enum": list(get_args(literal))}


@dataclass(frozen=True, slots=True)
class Field:
    """``section`` is "" for the top level. ``wrong`` is a value that is refused at this very place."""

    section: str
    name: str
    schema: dict[str, Any]
    meaning: str
    example: Any
    wrong: Any
    default: Any = None

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED

    @property
    def place(self) -> str:
        return f"{self.section}.{self.name}" if self.section else self.name


SECTIONS = {
    "": "The whole file",
    "target": "The outcome that is predicted",
    "features[]": "One column that a model reads, in the order in which reasons are added up",
    "floors": "What any model must reach on its holdout",
    "costs": "Prices, for figures in money and for the cost objective; absent: none",
    "objective": "What the operating point is for: one of these, and only one",
    "operating_point": "Whether the threshold follows the population, and how far",
    "training": "What is learnt from",
    "promotion": "What the gate may do by itself",
    "monitoring": "When there is enough evidence",
    "labels": "What a feed of outcomes means",
    "actions": 'That somebody acts on decisions, and who is left alone to keep the evidence true; "none" for nobody',
    "source": (
        "How files are written, in the words of Frictionless Table Schema and CSV Dialect; what is absent, a reader"
        " finds out"
    ),
}

FIELDS = (
    Field("", "$schema", {"type": "string"}, "Lets an editor complete and check the file; not part of the hash", SCHEMA_URL, None),
    Field("", "format", {"enum": [FORMAT, "lifecycle.contract"]}, "Always this word", FORMAT, "other", _REQUIRED),
    Field("", "format_version", {"const": FORMAT_VERSION}, "Always this number", FORMAT_VERSION, 2, _REQUIRED),
    Field("", "name", _TEXT, "What the contract is called", "telco-churn", "", _REQUIRED),
    Field("", "version", _TEXT, "Changed by you when the contract changes", "1", " ", _REQUIRED),
    Field("", "id", _TEXT, "The column that names the entity; it comes back as entity_id", "customer_id", 7),
    Field("", "time", _TEXT, "The column that says when the row was true", "seen_at", ""),
    Field("", "slices", _TEXTS, "Categorical or boolean features whose levels are judged separately, too", ["plan"], ["age"], []),
    Field("", "extra", _choice(Extra), "What a column that the contract does not name is", "ignore", "drop", "refuse"),
    Field("", "capture", _choice(CaptureRule), "Whether a prediction may be answered that could not be captured", "required", "maybe", "best_effort"),
    Field("", "callers", _choice(CallerRule), "How who calls is kept with captures and labels: by name, or hashed where names are of people", "hashed", "secret", "named"),
    Field("", "may_change", {"type": "object", "additionalProperties": _choice(MayChange)}, "Features that a person could change, and in which direction: what `stillgood explain --change` may propose", {"age": "increasing"}, {"age": "up"}, {}),
    Field("", "units", {"type": "object", "additionalProperties": {"type": "string"}}, "What numbers count, in words: reports say \"higher by 10 years\"", {"age": "years"}, {"age": 7}, {}),
    Field("target", "name", _TEXT, "The outcome's column", "churn", "", _REQUIRED),
    Field("target", "positive", _TEXT, "The value that is predicted, as text", "Yes", "", _REQUIRED),
    Field("target", "negative", _TEXT, "The other value, as text", "No", "yes", _REQUIRED),
    Field("features[]", "name", _TEXT, "The column", "tenure", "", _REQUIRED),
    Field("features[]", "kind", _choice(Kind), "What its values are; an integer beyond 2^53 that a double would round is refused, a numeric one is rounded", "numeric", "number", _REQUIRED),
    Field("features[]", "minimum", _NUMBER, "Of a number, or of a date as days_before: the least value that is taken", 0, "0"),
    Field("features[]", "maximum", _NUMBER, "The largest value that is taken", 120, True),
    Field("features[]", "levels", _TEXTS, "Of a categorical feature: its known values", ["basic", "pro"], ["a", "a"], []),
    Field("features[]", "aliases", {"type": "object", "additionalProperties": {"type": "string"}}, "Of a categorical feature: other spellings of its levels; counted as repairs", {"B": "basic"}, {"B": "gold"}, {}),
    Field("features[]", "nullable", _FLAG, "Whether a blank is taken as it is", True, "yes", False),
    Field("features[]", "if_missing", {}, "A blank becomes this value, and is counted as a repair", 0, "none"),
    Field("features[]", "unseen", _choice(Unseen), "What a text that is no level is", "accept", "drop", "refuse"),
    Field("features[]", "pii", _FLAG, "Personal: never shown in a message, never captured", True, 1, False),
    Field("features[]", "monotone", _choice(Monotone), "Of a number: the direction in which the score may only move, in either family", "increasing", "up"),
    Field("features[]", "as", _choice(Derive), "Of a date: what the model reads of it; days are counted back from the row's time", "month", "year"),
    Field("features[]", "description", {"type": "string"}, "For people, and for the API's document", "Months with the company", 3, ""),
    Field("features[]", "example", {}, "A value for the API's document", 12, "twelve"),
    Field("floors", "roc_auc", _within(0, 1), "The least area under the ROC curve", 0.7, 1.5, 0.7),
    Field("floors", "recall", _within(0, 1), "The least recall; also the objective where none is stated", 0.8, -0.1, 0.8),
    Field("floors", "precision", _within(0, 1), "The least precision", 0.2, 2, 0.0),
    Field("costs", "miss", _within(0), "What a missed positive costs", 500, -1, _REQUIRED),
    Field("costs", "offer", _within(0), "What an offer costs, to whomever it is made", 20, "20", _REQUIRED),
    Field("costs", "capacity", _within(0, 1000), "The largest number of offers per 1,000 rows; absent: no limit", 100, 1001),
    Field("objective", "recall", _within(0, 1), "Find at least this share of the positives", 0.8, 1.1),
    Field("objective", "precision", _within(0, 1), "At least this share of the flagged are positives", 0.4, -1),
    Field("objective", "capacity", _within(0, 1), "Flag at most this share", 0.1, 7),
    Field("objective", "cost", {"const": True}, "Lose the least by the prices of costs", True, False),
    Field("operating_point", "mode", _choice(PointMode), "Follow the population before labels come, or stand still", "fixed", "moving", "follow"),
    Field("operating_point", "min_flagged", _within(0, 1), "The least share flagged that a move may lead to", 0.01, -1, 0.0),
    Field("operating_point", "max_flagged", _within(0, 1), "The largest share flagged that a move may lead to", 0.4, 2, 1.0),
    Field("operating_point", "margin", _within(0, 1), "How far the estimate must be from the objective, beyond its own uncertainty, before the point moves", 0.05, "much", 0.02),
    Field("training", "min_rows", _within(20), "Fewer rows train nothing", 500, 19, 200),
    Field("training", "holdout_fraction", _within(0.01, 0.5), "The share of rows that is never learnt from", 0.25, 0.6, 0.2),
    Field("training", "holdout_rows", _within(20), "The most rows that are held out", 1000, 5, 3000),
    Field("training", "window_days", _within(0, _DAYS), "Learn only from rows at most this old; absent: from all", 365, -1),
    Field("training", "half_life_days", _within(0.01, _DAYS), "Remember as if a row this old weighed half of a new one: the newest 2.9 times as many days", 90, 0),
    Field("training", "inverse_regularisation", _within(1e-6, 1e6), "scikit-learn's C of the logistic regression", 0.5, 0, 1.0),
    Field("training", "family", _choice(Family), "The kind of model; auto takes boosted only where evidence says so", "auto", "forest", "logistic"),
    Field("promotion", "below_floors", _choice(BelowFloors), "A better candidate under the floors: ask a person, or only refuse it", "refuse", "take", "ask"),
    Field("monitoring", "min_rows", _within(1), "Fewer captured rows are no evidence; small windows are judged together until there are so many", 100, 0, 200),
    Field("monitoring", "period_hours", _within(1, 24 * _DAYS), "The season's length; absent: none", 168, 0.5),
    Field("monitoring", "label_maturity_days", _within(0, _DAYS), "From when on a label counts as final", 14, -1, 30.0),
    Field("labels", "horizon_days", _within(0, _DAYS), "What the prediction is about: the days after it; absent: no end", 60, -1),
    Field("labels", "maturity_days", _within(0, _DAYS), "From when on a label counts as final; absent: monitoring.label_maturity_days", 14, "soon"),
    Field("labels", "absent", _choice(Absent), "What silence means once the horizon has passed; negative needs horizon_days", "unknown", "no", "unknown"),
    Field("labels", "complete_until", _choice(CompleteUntil), "How far a feed is known to reach: as it says itself, or to its file's own date", "file_date", "now", "sent"),
    Field("labels", "min_coverage", _within(0, 1), "The share of a span's predictions whose outcome must be known before the span judges or teaches", 0.5, 50, 0.0),
    Field("labels", "vouched_sources", _TEXTS, "Who may judge and teach although labels carry no identity; of callers, whose rows may jump as they like, too", ["crm"], "crm", []),
    Field("actions", "control_share", _within(0, 0.5), "The share of flagged entities that is left alone", 0.05, 0.9, _REQUIRED),
    Field("actions", "by", {"const": "entity"}, "What is drawn", "entity", "row", "entity"),
    Field("actions", "rotate_days", _within(1, _DAYS), "How long one entity may be left alone", 90, 0, 90.0),
    Field("actions", "exempt", _TEXT, "A column: whoever has a true value there is never left alone, and never counted", "vip", ""),
    Field("source", "delimiter", _CHARACTER, "Between two fields", ";", ";;"),
    Field("source", "encoding", _TEXT, "Of the file's text", "cp1252", ""),
    Field("source", "decimalChar", _CHARACTER, "Before a number's fraction", ",", ",,"),
    Field("source", "groupChar", _CHARACTER, "Between thousands; it differs from decimalChar", ".", ""),
    Field("source", "missingValues", _BLANKS, "Texts that mean nothing is known", ["", "NA"], "NA", [""]),
    Field("source", "trueValues", _TEXTS, "Texts that mean true, beside the usual", ["J"], ["J", "J"], []),
    Field("source", "falseValues", _TEXTS, "Texts that mean false, beside the usual", ["N"], [1], []),
    Field("source", "bareNumber", _FLAG, "false: numbers may carry a currency or a percent sign", False, "no", True),
    Field("source", "negativeNumber", _choice(NegativeNumber), "How a number below zero may stand beside -5: parentheses, as (5), or trailing, as 5-", "parentheses", "brackets", "minus"),
    Field("source", "dateFormat", _TEXT, "How dates are written, as strptime says it; absent: ISO 8601", "%d.%m.%Y", ""),
    Field("source", "timeZone", _TEXT, "Of times without an offset", "Europe/Rome", ""),
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a contract: what an editor can check. Rules that span fields are the reader's alone."""
    top = _object("")
    for section, meaning in SECTIONS.items():
        if section == "features[]":
            top["properties"]["features"] = {
                "type": "array",
                "minItems": 1,
                "items": _object(section),
                "description": meaning,
            }
        elif section == "actions":
            top["properties"][section] = {"anyOf": [{"enum": ["none", None]}, _object(section)], "description": meaning}
        elif section == "objective":
            choice = _object(section) | {"minProperties": 1, "maxProperties": 1}
            top["properties"][section] = {"anyOf": [choice, {"type": "null"}], "description": meaning}
        elif section:
            made = _object(section)
            nullable = section != "target"
            top["properties"][section] = ({"anyOf": [made, {"type": "null"}]} if nullable else made) | {
                "description": meaning
            }
    top["required"] += ["target", "features"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_URL,
        "title": "A contract of stillgood",
        **top,
    }


def markdown() -> str:
    """docs/contract.md."""
    lines = [
        "# The contract, field by field",
        "",
        (
            "One JSON file says what a row is and what a model must reach. This page and"
            " `contracts/contract.schema.json`, which an editor checks by `$schema`,"
        ),
        (
            "are generated by `make docs` from `domain/contract/fields.py`; a test has the reader take every example"
            " and refuse every wrong value."
        ),
        (
            "A wrong value is refused as a whole contract is: `ContractInvalid` names the place and the rule, and"
            " nothing is trained or served by it."
        ),
    ]
    for section, meaning in SECTIONS.items():
        lines += ["", f"## {section or 'Top level'}", "", f"{meaning}.", ""]
        lines += ["| field | meaning | values | default | example | refused |", "| --- | --- | --- | --- | --- | --- |"]
        lines += [_line(field) for field in fields_of(section)]
    return "\n".join(lines) + "\n"


def fields_of(section: str) -> Iterator[Field]:
    return (field for field in FIELDS if field.section == section)


def _object(section: str) -> dict[str, Any]:
    properties = {field.name: _property(field) for field in fields_of(section)}
    required = [field.name for field in fields_of(section) if field.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _property(field: Field) -> dict[str, Any]:
    # A field that is null is a field that is absent.
    schema = field.schema if field.required or not field.schema else {"anyOf": [field.schema, {"type": "null"}]}
    stated = {} if field.default in (None, _REQUIRED) else {"default": field.default}
    return {**schema, "description": field.meaning, **stated, "examples": [field.example]}


def _line(field: Field) -> str:
    default = "required" if field.required else "" if field.default is None else _code(field.default)
    refused = "" if field.wrong is None else _code(field.wrong)
    cells = (f"`{field.name}`", field.meaning, _values(field.schema), default, _code(field.example), refused)
    return f"| {' | '.join(cells)} |"


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(map(_code, schema["enum"]))
    if "const" in schema:
        return _code(schema["const"])
    if "maxLength" in schema:
        return "one character"
    kinds = {
        "string": "text",
        "number": "number",
        "array": "list of texts",
        "object": "object of texts",
        "boolean": "true, false",
    }
    said = kinds.get(schema.get("type", ""), "as the feature's values")
    if "minimum" in schema:
        said += (
            f", {schema['minimum']:g} to {schema['maximum']:g}"
            if "maximum" in schema
            else f", {schema['minimum']:g} or more"
        )
    return said


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"

"""What the API answers, for its OpenAPI document. Built when the document is asked for, not at a cold start
(``defer_build``).

Answers themselves are not validated by these: they come from checked rows and stored documents, and are written by
orjson.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Unit = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True, protected_namespaces=())


class Reason(_Answer):
    feature: str
    value: Any = Field(description="As it was sent; a date as the number or level derived of it")
    contribution: float = Field(description="In logits")


class Repair(_Answer):
    """A value mended by a rule that the contract states."""

    field: str
    rule: str
    before: Any
    after: Any


class Prediction(_Answer):
    prediction_id: str
    entity_id: str | None
    probability: Unit = Field(description="Calibrated")
    decision: bool = Field(description="logit >= the model's threshold")
    threshold: Unit = Field(description="The probability from which the decision is true")
    score: Unit = Field(description="The class-balanced score, for ranking")
    confidence: float = Field(ge=0, le=0.5, description="|score - 0.5|")
    logit: float = Field(description="baseline + all contributions")
    baseline: float
    reasons: list[Reason] = Field(
        description=(
            "Largest first; added to the baseline in the contract's order of features, then pairs, they are the logit,"
            " to the last bit"
        )
    )
    calibration: float = Field(
        description="In logits, the last step: logit + calibration is the logit of the probability"
    )
    repairs: list[Repair]
    model_version: str
    operating_point: str | None = Field(description="Whose calibration and threshold decided; null: the model's own")
    act: bool | None = Field(None, description="Whether to act; there where the contract declares actions")
    group: Literal["none", "control", "treated", "exempt"] | None = Field(
        None, description="control: flagged, and left alone to keep the evidence true; there as act is"
    )


class Predictions(_Answer):
    predictions: list[Prediction]


class TakenLabels(_Answer):
    accepted: Count
    refused: Count
    duplicate: bool = Field(description="This very batch was taken in before; nothing changed")
    outcomes: dict[str, Any] = Field(
        description="kept, sent_before, repeated, contradicting and refused: count and example of each that there is. "
        "Which labels match a prediction is in monitor's next report, under labels.heard"
    )
    violations: list[dict[str, Any]]
    complete_until: str | None = Field(
        None, description="Up to when the sender said it has sent all labels; absent if it did not"
    )


class TakenActions(_Answer):
    accepted: Count
    refused: Count
    duplicate: bool = Field(description="This very batch was taken in before; nothing changed")
    violations: list[dict[str, Any]]


class Champion(_Answer):
    """The production pointer, and the contract that rows must keep."""

    version: str
    metrics: dict[str, Any]
    threshold: Unit
    generation: Count
    contract: dict[str, Any]


class Status(_Answer):
    serving: bool
    champion: dict[str, Any]
    operating_point: dict[str, Any] | None
    monitoring: dict[str, Any] | None = Field(
        description="What lasts since the newest window: deaf since, under a floor"
    )
    summary: dict[str, Any] | None = Field(
        description="Is anything wrong: status 0 well, 1 look, 2 act, and the lines of `stillgood status` in its order"
    )
    capture: dict[str, Any]
    limits: dict[str, Any]


class Violation(_Answer):
    """``row`` counts from 0; it, rule and value are there where a row broke its contract, and not where a parameter is
    wrong.
    """

    row: Count | None = None
    field: str
    rule: str | None = None
    value: Any = None
    message: str


class Problem(_Answer):
    """RFC 9457."""

    type: str
    title: str
    status: Count
    detail: str
    correlation_id: str
    violations: list[Violation] | None = Field(None, description="Of rows that break the contract: all of them")

"""What predict keeps of each row, and monitor reads: the one definition of a captured line. Light: predict imports
it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stillgood.domain.contract.contract import FeatureValue

KIND, PREDICTION, REJECTION = "kind", "prediction", "rejection"  # the field that tells the two apart, and its values


@dataclass(frozen=True, slots=True)
class CapturedPrediction:
    """One answered row. Features marked ``pii`` are left out: a hash of one of few values is no secret.

    ``time``: ISO 8601 in UTC ("...Z"). ``repairs``: names of the features that were blank and got ``if_missing``.
    ``point``: id of the operating point, None for the model's own. ``group``: as ``domain/actions`` drew it, which
    tells with ``decision`` whether to act; None where the contract declares no actions. ``caller``: as API Gateway
    knows whom it let in; None where it asked nobody, and by batch.
    """

    prediction_id: str
    time: str
    entity_id: str | None
    features: Mapping[str, FeatureValue]
    score: float
    probability: float
    decision: bool
    model: str
    repairs: tuple[str, ...] = ()
    point: str | None = None
    group: str | None = None
    caller: str | None = None

    def to_dict(self) -> dict[str, object]:
        line: dict[str, object] = {
            KIND: PREDICTION,
            "prediction_id": self.prediction_id,
            "time": self.time,
            "entity_id": self.entity_id,
            "features": self.features,
            "score": self.score,
            "probability": self.probability,
            "decision": self.decision,
            "model": self.model,
        }
        if self.repairs:  # most rows have none, and every byte is stored and read
            line["repairs"] = self.repairs
        if self.point is not None:
            line["point"] = self.point
        if self.group is not None:
            line["group"] = self.group
        if self.caller is not None:
            line["caller"] = self.caller
        return line


@dataclass(frozen=True, slots=True)
class CapturedRejection:
    """One refused row: which rules it broke, as {"field", "rule"}, no values. ``model``: whose contract it broke.

    ``caller`` as above; ``request_rows``: refused rows of its request, this one among them; 0 where it came in none.
    """

    time: str
    violations: tuple[Mapping[str, Any], ...]
    model: str
    caller: str | None = None
    request_rows: int = 0

    def to_dict(self) -> dict[str, object]:
        line: dict[str, object] = {
            KIND: REJECTION,
            "time": self.time,
            "violations": list(self.violations),
            "model": self.model,
        }
        if self.caller is not None:
            line["caller"] = self.caller
        if self.request_rows:
            line["request_rows"] = self.request_rows
        return line

"""The operating point as it is stored and served: calibration and threshold, what they are for, and on what evidence.

Pure Python: predict reads it on its cold start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stillgood.domain.errors import ModelUnusable
from stillgood.domain.formats import current_format
from stillgood.domain.model.model import Calibration, Model

FORMAT, FORMAT_VERSION = "stillgood.operating-point", 1


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """``threshold_logit`` in the model's logits; ``wanted`` is the objective's figure, 0 to 1.

    ``covariance``: var(slope), cov(slope, intercept), var(intercept) of the calibration, fitted on ``rows`` labelled
    rows. ``estimates``: recall, precision and share flagged as estimated when it was made, each value, low, high.
    ``evidence``: JSON-able, what it was made from. ``since``: ISO-8601 in UTC.
    """

    model_version: str
    model_sha256: str
    objective: str
    wanted: float
    calibration: Calibration
    threshold_logit: float
    since: str
    covariance: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rows: int = 0
    estimates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def threshold(self) -> float:
        """The bound on the scale of the probability, 0 to 1."""
        return self.calibration.probability(self.threshold_logit)

    def applied_to(self, model: Model, point_id: str | None = None) -> Model:
        """``model`` with this calibration and threshold: logits and reasons are the model's own. Raises ModelUnusable
        for another model's point.
        """
        if model.version != self.model_version:
            raise ModelUnusable(f"The operating point is of {self.model_version[:80]}, not of {model.version[:80]}.")
        return replace(
            model, calibration=self.calibration, threshold_logit=self.threshold_logit, operating_point=point_id
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model_version": self.model_version,
            "model_sha256": self.model_sha256,
            "objective": self.objective,
            "wanted": self.wanted,
            "calibration": {
                "slope": self.calibration.slope,
                "intercept": self.calibration.intercept,
                "covariance": list(self.covariance),
                "rows": self.rows,
            },
            "threshold_logit": self.threshold_logit,
            "threshold": self.threshold,
            "since": self.since,
            "estimates": {name: dict(figure) for name, figure in self.estimates.items()},
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_dict(cls, raw: object) -> "OperatingPoint":
        """Raises ModelUnusable for anything that is not a whole operating point of this format."""
        if not isinstance(raw, Mapping) or current_format(raw.get("format")) != FORMAT:
            raise ModelUnusable(f'Not an operating point: "format" must be "{FORMAT}".')
        if raw.get("format_version") != FORMAT_VERSION:
            raise ModelUnusable(
                f"The operating point is of format version {str(raw.get('format_version'))[:20]}; this library reads"
                f" {FORMAT_VERSION}."
            )
        try:
            line = raw["calibration"]
            slope, ab, intercept = (_finite(number) for number in line["covariance"])
            calibration = Calibration(_finite(line["slope"]), _finite(line["intercept"]))
            if calibration.slope <= 0:
                raise ValueError("the slope of the calibration is not above zero")
            return cls(
                model_version=str(raw["model_version"]),
                model_sha256=str(raw["model_sha256"]),
                objective=str(raw["objective"]),
                wanted=_finite(raw["wanted"]),
                calibration=calibration,
                threshold_logit=_finite(raw["threshold_logit"]),
                since=str(raw["since"]),
                covariance=(slope, ab, intercept),
                rows=int(line["rows"]),
                estimates={name: dict(figure) for name, figure in raw["estimates"].items()},
                evidence=dict(raw["evidence"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelUnusable(f"The operating point is malformed ({type(error).__name__}: {error}).") from error


def point_of(model: Model, model_sha256: str, objective: str, wanted: float, since: str) -> OperatingPoint:
    """Generation 0: the calibration and threshold that the model brought from its training."""
    return OperatingPoint(
        model.version, model_sha256, objective, wanted, model.calibration, model.threshold_logit, since
    )


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # a TypeError is caught above
    if isinstance(value, bool | str) or number - number != 0.0:
        raise ValueError(f"a finite number expected, got {str(value)[:40]}")
    return number

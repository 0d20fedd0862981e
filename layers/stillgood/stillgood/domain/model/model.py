"""The model artifact and its scorer: pure Python, so that predict needs no NumPy and a cold start stays short.

A model is a sum of one term per feature. What a term adds is that feature's reason code, so the reasons are exact by construction:
``logit = baseline + c1 + c2 + ...``, added left to right in the contract's order (docs/decisions/0004).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ContractInvalid, ModelUnusable
from stillgood.domain.formats import current_format

FORMAT, FORMAT_VERSION = "stillgood.model", 1


def sigmoid(x: float) -> float:
    """``1 / (1 + exp(-x))`` without overflow.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@dataclass(frozen=True, slots=True)
class NumericTerm:
    """``weight * ((x - center) / scale)`` in logits, or ``missing`` for null."""

    name: str
    center: float
    scale: float
    weight: float
    missing: float = 0.0

    def contribution(self, value: float | str | None) -> float:
        return self.missing if value is None else self.weight * ((value - self.center) / self.scale)  # type: ignore[operator]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": "numeric",
            "center": self.center,
            "scale": self.scale,
            "weight": self.weight,
            "missing": self.missing,
        }


@dataclass(frozen=True, slots=True)
class CategoricalTerm:
    """A weight in logits per level, against the average row; ``missing`` for null, ``unseen`` for any other level."""

    name: str
    weights: Mapping[str, float]
    missing: float = 0.0
    unseen: float = 0.0

    def contribution(self, value: float | str | None) -> float:
        return self.missing if value is None else self.weights.get(value, self.unseen)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": "categorical",
            "weights": dict(self.weights),
            "missing": self.missing,
            "unseen": self.unseen,
        }


type Term = NumericTerm | CategoricalTerm


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: ``probability = sigmoid(slope * logit + intercept)``; ``slope`` > 0 keeps the ranking (Platt, 1999)."""

    slope: float
    intercept: float

    def probability(self, logit: float) -> float:
        return sigmoid(self.slope * logit + self.intercept)


@dataclass(frozen=True, slots=True)
class Score:
    """One row's answer. ``score``, ``probability``, ``threshold`` are 0 to 1, ``confidence`` 0 to .5, the rest in logits.

    ``decision`` is ``logit >= threshold_logit``; ``threshold`` is that bound on the scale of ``probability``.
    """

    logit: float
    contributions: tuple[float, ...]
    score: float
    probability: float
    threshold: float
    decision: bool
    confidence: float


@dataclass(frozen=True, slots=True)
class Model:
    """``terms`` in the contract's order of features. ``training`` says what it was learnt from."""

    version: str
    contract: Contract
    terms: tuple[Term, ...]
    baseline: float
    threshold_logit: float
    calibration: Calibration
    training: Mapping[str, Any] = field(default_factory=dict)
    threshold: float = field(init=False, default=0.5)

    def __post_init__(self) -> None:
        if [term.name for term in self.terms] != [feature.name for feature in self.contract.features]:
            raise ValueError("the terms are not the contract's features in their order")
        object.__setattr__(self, "threshold", self.calibration.probability(self.threshold_logit))

    def score(self, values: Mapping[str, float | str | None]) -> Score:
        """Score one checked row. Raises KeyError when a feature is not in ``values``."""
        contributions = tuple([term.contribution(values[term.name]) for term in self.terms])
        logit = self.baseline
        for contribution in contributions:  # not sum(), which rounds otherwise than the columns' scorer
            logit += contribution
        score = sigmoid(logit)
        return Score(
            logit,
            contributions,
            score,
            self.calibration.probability(logit),
            self.threshold,
            logit >= self.threshold_logit,
            abs(score - 0.5),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "contract": self.contract.to_dict(),
            "terms": [term.to_dict() for term in self.terms],
            "baseline": self.baseline,
            "threshold_logit": self.threshold_logit,
            "calibration": {"slope": self.calibration.slope, "intercept": self.calibration.intercept},
            "training": dict(self.training),
        }

    @classmethod
    def from_dict(cls, raw: object) -> "Model":
        """Raises ModelUnusable for anything that is not a whole model of this format."""
        if not isinstance(raw, Mapping) or current_format(raw.get("format")) != FORMAT:
            raise ModelUnusable(f'Not a model: "format" must be "{FORMAT}".')
        if raw.get("format_version") != FORMAT_VERSION:
            raise ModelUnusable(
                f"The model is of format version {str(raw.get('format_version'))[:20]}; this library reads {FORMAT_VERSION}. Deploy the library that wrote it, or train again."
            )
        try:
            calibration = Calibration(_finite(raw["calibration"]["slope"]), _finite(raw["calibration"]["intercept"]))
            if calibration.slope <= 0:
                raise ValueError("the calibration turns the ranking around")
            return cls(
                version=str(raw["version"]),
                contract=read_contract(raw["contract"]),
                terms=tuple(_term(one) for one in raw["terms"]),
                baseline=_finite(raw["baseline"]),
                threshold_logit=_finite(raw["threshold_logit"]),
                calibration=calibration,
                training=dict(raw["training"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, ContractInvalid) as error:
            raise ModelUnusable(
                f"The model is malformed ({type(error).__name__}: {error}); train again or roll back."
            ) from error


def _term(raw: Mapping[str, Any]) -> Term:
    if raw["kind"] == "numeric":
        scale = _finite(raw["scale"])
        if scale <= 0:
            raise ValueError(f"the scale of {raw['name']} is not positive")
        return NumericTerm(
            str(raw["name"]), _finite(raw["center"]), scale, _finite(raw["weight"]), _finite(raw["missing"])
        )
    if raw["kind"] == "categorical":
        weights = {str(level): _finite(weight) for level, weight in raw["weights"].items()}
        return CategoricalTerm(str(raw["name"]), weights, _finite(raw["missing"]), _finite(raw["unseen"]))
    raise ValueError(f"unknown kind of term {raw['kind']!r}")


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"a finite number expected, got {str(value)[:40]}")
    return float(value)

"""The model artifact and its scorer: pure Python, so that predict needs no NumPy and a cold start stays short.

A model is a sum of one term per feature and, of the boosted family, of one per pair of features that act together
(docs/decisions/0022). What a term adds is its reason, so the reasons are exact by construction:
``logit = baseline + c1 + c2 + ...``, added left to right: features in the contract's order, then pairs
(docs/decisions/0004).
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ContractInvalid, ModelUnusable
from stillgood.domain.formats import current_format

if TYPE_CHECKING:  # read only where there are pairs: a logistic model's cold start does without
    from stillgood.domain.model.pairs import Compiled, PairTerm, StepTerm

FORMAT, FORMAT_VERSION = "stillgood.model", 1
PAIRS_FORMAT = "stillgood.pairs"
FORMATS = (FORMAT, PAIRS_FORMAT)

_SENT: Mapping[str, type] = {"boolean": bool, "integer": int}

type Family = Literal["logistic", "boosted"]


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
class CurveTerm:
    """A number's share in logits along a broken line: ``shares[i]`` at ``knots[i]``, straight between, constant beyond
    both ends.

    ``knots`` ascend strictly, at least two; ``missing`` is the share of null.
    """

    name: str
    knots: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float = 0.0

    def contribution(self, value: float | str | None) -> float:
        if value is None:
            return self.missing
        x = min(max(value, self.knots[0]), self.knots[-1])
        left = min(bisect_right(self.knots, x), len(self.knots) - 1) - 1
        start, end = self.knots[left], self.knots[left + 1]
        return self.shares[left] + (self.shares[left + 1] - self.shares[left]) * ((x - start) / (end - start))  # type: ignore[operator]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": "curve",
            "knots": list(self.knots),
            "shares": list(self.shares),
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


type Term = NumericTerm | CurveTerm | CategoricalTerm | StepTerm


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: ``probability = sigmoid(slope * logit + intercept)``; ``slope`` > 0 keeps the ranking (Platt,
    1999).
    """

    slope: float
    intercept: float

    def probability(self, logit: float) -> float:
        return sigmoid(self.slope * logit + self.intercept)

    def adds(self, logit: float) -> float:
        """The step from ``logit`` to the logit of its probability.

        >>> Calibration(2.0, -1.0).adds(0.5)
        -0.5
        """
        return (self.slope * logit + self.intercept) - logit


@dataclass(frozen=True, slots=True)
class Score:
    """One row's answer. ``score``, ``probability``, ``threshold`` are 0 to 1, ``confidence`` 0 to .5, the rest in
    logits.

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
    """``terms`` in the contract's order of features, then ``pairs``. ``training`` says what it was learnt from.

    ``operating_point``: id of the one that calibration and threshold are of, None for the model's own; it is not stored
    here.
    """

    version: str
    contract: Contract
    terms: tuple[Term, ...]
    baseline: float
    threshold_logit: float
    calibration: Calibration
    training: Mapping[str, Any] = field(default_factory=dict)
    family: Family = "logistic"
    pairs: "tuple[PairTerm, ...]" = ()
    operating_point: str | None = None
    threshold: float = field(init=False, default=0.5)
    names: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())
    # By feature, what makes of a checked value the one that was sent: true of 1.0, 12 of 12.0.
    as_sent: Mapping[str, type] = field(init=False, repr=False, compare=False, default_factory=dict)
    # Made when the first row is scored, as many models never score one in pure Python.
    _compiled: "list[Compiled]" = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        if [term.name for term in self.terms] != [feature.name for feature in self.contract.features]:
            raise ValueError("the terms are not the contract's features in their order")
        known = {term.name for term in self.terms}
        if any(axis.feature not in known for pair in self.pairs for axis in (pair.first, pair.second)):
            raise ValueError("a pair reads what is no feature of the contract")
        object.__setattr__(self, "names", tuple([part.name for part in (*self.terms, *self.pairs)]))
        sent = {feature.name: _SENT[feature.kind] for feature in self.contract.features if feature.kind in _SENT}
        object.__setattr__(self, "as_sent", sent)
        object.__setattr__(self, "threshold", self.calibration.probability(self.threshold_logit))

    def score(self, values: Mapping[str, float | str | None]) -> Score:
        """Score one checked row. Raises KeyError when a feature is not in ``values``."""
        if self.family == "boosted":
            contributions = (self._compiled or self._compile())[0].contributions(values)
        else:
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

    def pair_values(self, values: Mapping[str, float | str | None]) -> list[str]:
        """The two values of each pair as one text, such as "12 x Two year", in the order of ``pairs``."""
        return (self._compiled or self._compile())[0].texts(values)

    def _compile(self) -> "list[Compiled]":
        from stillgood.domain.model.pairs import Compiled

        self._compiled.append(Compiled(self.terms, self.pairs))
        return self._compiled

    def to_dict(self) -> dict[str, Any]:
        pairs = {"pairs": [pair.to_dict() for pair in self.pairs]} if self.family == "boosted" else {}
        return {
            "format": PAIRS_FORMAT if self.family == "boosted" else FORMAT,
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "contract": self.contract.to_dict(),
            "terms": [term.to_dict() for term in self.terms],
            "baseline": self.baseline,
            "threshold_logit": self.threshold_logit,
            "calibration": {"slope": self.calibration.slope, "intercept": self.calibration.intercept},
            "training": dict(self.training),
            **pairs,
        }

    @classmethod
    def from_dict(cls, raw: object) -> "Model":
        """Raises ModelUnusable for anything that is not a whole model of this format."""
        if not isinstance(raw, Mapping) or current_format(raw.get("format")) not in FORMATS:
            raise ModelUnusable(f'Not a model: "format" must be "{FORMAT}" or "{PAIRS_FORMAT}".')
        if raw.get("format_version") != FORMAT_VERSION:
            raise ModelUnusable(
                f"The model is of format version {str(raw.get('format_version'))[:20]}; this library reads"
                f" {FORMAT_VERSION}. Deploy the library that wrote it, or train again."
            )
        try:
            calibration = Calibration(_finite(raw["calibration"]["slope"]), _finite(raw["calibration"]["intercept"]))
            if calibration.slope <= 0:
                raise ValueError("the slope of the calibration is not above zero")
            return cls(
                version=str(raw["version"]),
                contract=read_contract(raw["contract"]),
                terms=tuple(_term(term) for term in raw["terms"]),
                baseline=_finite(raw["baseline"]),
                threshold_logit=_finite(raw["threshold_logit"]),
                calibration=calibration,
                training=dict(raw["training"]),
                family="logistic" if current_format(raw["format"]) == FORMAT else "boosted",
                pairs=_pairs(raw["pairs"]) if current_format(raw["format"]) == PAIRS_FORMAT else (),
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
    if raw["kind"] == "curve":
        knots, shares = (tuple([_finite(number) for number in raw[name]]) for name in ("knots", "shares"))
        if len(knots) < 2 or len(shares) != len(knots) or any(a >= b for a, b in pairwise(knots)):
            raise ValueError(f"the knots of {raw['name']} do not ascend, or have no share each")
        return CurveTerm(str(raw["name"]), knots, shares, _finite(raw["missing"]))
    if raw["kind"] == "steps":
        from stillgood.domain.model.pairs import step_term

        return step_term(raw, _finite)
    raise ValueError(f"unknown kind of term {raw['kind']!r}")


def _pairs(raw: Any) -> "tuple[PairTerm, ...]":
    from stillgood.domain.model.pairs import pair_term

    return tuple([pair_term(pair, _finite) for pair in raw])


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"a finite number expected, got {str(value)[:40]}")
    return float(value)

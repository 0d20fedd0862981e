"""Rows that nobody sent, to show how a probability comes about: made of medians and quantiles of the training rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stillgood.domain.drift.reference import Distribution, Levels, Reference
from stillgood.domain.model.model import Model

QUANTILES = (0.5, 0.1, 0.25, 0.75, 0.9)
MIN_SHARE = 0.05  # of the rows have a level that an example may have
CHANGED = 3  # features that tell the likelier row from the typical one

type Value = float | str | None


@dataclass(frozen=True, slots=True)
class Example:
    """``values`` by feature, as they would be sent; ``contributions`` by feature and pair, in logits. They lead to the
    probability: ``sigmoid(base + contributions + calibration)``.
    """

    name: str
    values: Mapping[str, Any]
    base: float
    contributions: Mapping[str, float]
    calibration: float
    probability: float
    decision: bool


def examples(model: Model, reference: Reference) -> tuple[Example, ...]:
    """A typical row, with each number's median and each category's most frequent level, and the two rows that differ
    from it in the ``CHANGED`` features whose change raises, or lowers, its logit most.

    Features take their training rows' quantiles (``QUANTILES``) and levels of at least ``MIN_SHARE`` of the rows; of
    those that are personal data nothing is known, so they count as missing.
    """
    choices = {term.name: _choices(model, reference, term.name) for term in model.terms}
    typical = {name: known[0] for name, known in choices.items()}
    return (
        _example("a typical row", model, typical),
        _example("a likelier one", model, _moved(model, typical, choices, 1.0)),
        _example("a less likely one", model, _moved(model, typical, choices, -1.0)),
    )


def _choices(model: Model, reference: Reference, name: str) -> list[Value]:
    """The typical value first; never empty."""
    known: Distribution | Levels | None = reference.numeric.get(name) or reference.categorical.get(name)
    if isinstance(known, Distribution) and known.n:
        places = np.searchsorted(np.cumsum(known.counts), np.array(QUANTILES) * known.n, side="left")
        return list(dict.fromkeys(known.values[np.minimum(places, len(known.values) - 1)].tolist()))
    if isinstance(known, Levels) and known.counts[: len(known.levels)].any():
        boolean = model.contract.feature(name).kind == "boolean"
        order = np.argsort(-known.counts[: len(known.levels)], kind="stable").tolist()
        often = [at for at in order if known.counts[at] >= MIN_SHARE * known.counts.sum()] or order[:1]
        return [float(at) if boolean else known.levels[at] for at in often]
    return [None]


def _moved(
    model: Model, typical: Mapping[str, Value], choices: Mapping[str, Sequence[Value]], sign: float
) -> dict[str, Value]:
    start = model.score(typical).logit
    moves: list[tuple[float, str, Value]] = []
    for name, values in choices.items():
        gains = [sign * (model.score({**typical, name: value}).logit - start) for value in values]
        best = max(range(len(values)), key=gains.__getitem__)
        if gains[best] > 0:
            moves.append((-gains[best], name, values[best]))
    return {**typical, **{name: value for _, name, value in sorted(moves, key=lambda move: move[:2])[:CHANGED]}}


def _example(name: str, model: Model, values: Mapping[str, Value]) -> Example:
    score = model.score(values)
    sent = {
        feature: value if value is None else model.as_sent.get(feature, lambda same: same)(value)
        for feature, value in values.items()
    }
    return Example(
        name,
        sent,
        model.baseline,
        dict(zip(model.names, score.contributions, strict=True)),
        model.calibration.adds(score.logit),
        score.probability,
        score.decision,
    )

"""One decision at a time: how often a window is called drifted, a concept drift found, a candidate promoted, wrongly or
rightly.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from stillgood.domain.contract.contract import Objective
from stillgood.domain.contract.frame import Frame
from stillgood.domain.drift.detect import DISTRIBUTION_TESTS
from stillgood.domain.drift.performance import estimate_performance
from stillgood.domain.model.evaluation import roc_auc
from stillgood.domain.model.vectorised import logits, probabilities
from stillgood.domain.policy.evidence import Evidence
from stillgood.domain.policy.guarded import PERFORMANCE, Guarded, findings
from stillgood.domain.promotion.comparison import HoldoutScores
from stillgood.domain.promotion.cross_fitted import CrossFitted
from stillgood.domain.promotion.gate import GateInputs, decide, decide_cross_fitted

from benchmarks.decisions.table import Table
from benchmarks.decisions.world import (
    SPLITS,
    Randomness,
    Rows,
    World,
    evidence,
    learn,
    profile_of,
    realised,
    telco,
    world,
)

HOLDOUT = 1400
# Without these a model ranks about .02 ROC-AUC worse: the champion that a truly better candidate replaces.
BLIND = frozenset({"contract", "internet_service", "payment_method", "online_security", "tech_support"})
# Without these, about .01 worse.
SLIGHTLY_BLIND = frozenset({"contract", "payment_method"})
BETTER, SLIGHTLY_BETTER = "truly better", "slightly better"
SHIFTS = (
    "tenure +10 points under 12 months",
    "month-to-month +10 points",
    "price x1.05",
    "20% missing, repaired by the contract",
    "20% missing, refused",
    "unseen level in 20%",
    "price in cents",
    "tenure in years",
)


def seen(split: World, rows: Rows, refused: int = 0) -> Evidence:
    window = profile_of(split.model, split.reference, rows.frame, refused)
    return evidence(split.model, split.reference, window, contract=split.model.contract)


def flagged(window: Evidence) -> bool:
    """Whether one window makes guarded see anything: drift, a fault, or a violated contract."""
    drift = window.drift
    return window.violation_rate > Guarded().violation_rate or (
        drift is not None and bool(drift.drifted or drift.faults)
    )


def naive(window: Evidence) -> bool:
    """The plain rule: any feature's p below .05."""
    assert window.drift is not None
    return any(check.p < 0.05 for check in window.drift.checks if check.test in DISTRIBUTION_TESTS)


def shifted(name: str, split: World, random: Randomness, n: int) -> tuple[Rows, int]:
    """A window of ``n`` rows after a shift: those that pass the contract, and how many it refuses."""
    columns = split.unseen.frame.columns
    if name in SHIFTS[:2]:
        inside = columns["tenure"] < 12 if name == SHIFTS[0] else columns["contract"] == 0
        share = float(inside.mean())
        return split.draw(random, n, np.where(inside, (share + 0.1) / share, (0.9 - share) / (1 - share))), 0
    rows = split.draw(random, n)
    if name in ("20% missing, refused", "unseen level in 20%"):
        return _refuse(rows, random.random(n) < 0.2)
    if name == "price in cents":
        return _refuse(rows, rows.frame.columns["monthly_charges"] * 100 > 500)
    return change(rows, name, random), 0


def change(rows: Rows, name: str, random: Randomness) -> Rows:
    """The shifts that change a column and break no rule."""
    columns: dict[str, Any] = dict(rows.frame.columns)
    if name.startswith("price x"):
        columns["monthly_charges"] = columns["monthly_charges"] * float(name.removeprefix("price x"))
    elif name == "20% missing, repaired by the contract":
        columns["total_charges"] = np.where(random.random(rows.n) < 0.2, 0.0, columns["total_charges"])
    elif name == "tenure in years":
        columns["tenure"] = np.floor(columns["tenure"] / 12)
    else:
        raise ValueError(name)
    return replace(rows, frame=Frame(rows.frame.contract, rows.n, columns))


def _refuse(rows: Rows, bad: np.ndarray) -> tuple[Rows, int]:
    return rows.take(np.flatnonzero(~bad)), int(bad.sum())


def windows(table: Table, repeats: int) -> None:
    for n in (500, 1000, 2000):
        random = np.random.default_rng(n)
        evidences = [seen(split, split.draw(random, n)) for split in (world(i % SPLITS) for i in range(repeats))]
        table.share(f"false alarm, null window of {n}", sum(map(flagged, evidences)), repeats, "<= 0.02")
        table.share("  the same, simple", sum(map(naive, evidences)), repeats)
    for name in SHIFTS:
        random, hits = np.random.default_rng(7), 0
        for i in range(repeats):
            split = world(i % SPLITS)
            rows, refused = shifted(name, split, random, 2000)
            hits += flagged(seen(split, rows, refused))
        table.share(f"power, {name}, window of 2,000", hits, repeats, ">= 0.95")


def concept(table: Table, repeats: int) -> None:
    for flip in (0.2, 0.0):
        random, hits, naively = np.random.default_rng(11), 0, 0
        for i in range(repeats):
            split = world(i % SPLITS)
            rows = split.draw(random, 2000)
            rows = replace(rows, y=np.where(random.random(rows.n) < flip, 1 - rows.y, rows.y))
            labelled = replace(seen(split, rows), realised=realised(split.model, rows, split.promised))
            hits += PERFORMANCE in findings(Guarded(), labelled)
            assert labelled.realised is not None
            naively += labelled.realised.drop > 0.02
        if flip:
            table.share("concept flip of 20% found with 2,000 labels", hits, repeats, ">= 0.85")
        else:
            table.share("concept alarm without a flip", hits, repeats, "<= 0.02")
            table.share("  the same, no test: ROC-AUC lower by .02", naively, repeats)


def estimates(table: Table, repeats: int) -> None:
    random, errors = np.random.default_rng(13), []
    for i in range(repeats):
        split = world(i % SPLITS)
        columns = split.unseen.frame.columns
        inside = columns["contract"] == 0 if i % 2 else columns["tenure"] < 12
        rows = split.draw(random, 5000, np.where(inside, 1.3, 0.8))
        estimate = estimate_performance(profile_of(split.model, split.reference, rows.frame).scores)
        assert estimate.roc_auc is not None
        errors.append(abs(estimate.roc_auc - roc_auc(logits(split.model, rows.frame), rows.y)))
    table.mean("CBPE: distance of estimated from realised ROC-AUC, covariate shift", errors, "<= 0.02")


def gates(table: Table, repeats: int) -> None:
    """The guarded gate as train and promote use it, on held-out rows that neither model has seen; ``simple`` beside
    it. Two models of equal rows are judged in both roles: which of the two serves is chance.
    """
    counts: dict[tuple[str, str], list[bool]] = {}
    gains: dict[str, list[float]] = {BETTER: [], SLIGHTLY_BETTER: []}
    for repeat in range(repeats):
        rows = telco()
        order = np.random.default_rng(1000 + repeat).permutation(rows.n)
        holdout, rest = rows.take(order[:HOLDOUT]), order[HOLDOUT:]
        half = len(rest) // 2
        halves = [judged(rows.take(np.sort(part)), holdout, "half") for part in (rest[:half], rest[half:])]
        everything = rows.take(np.sort(rest))
        good = judged(everything, holdout, "candidate")
        poor, weaker = (judged(everything, holdout, "champion", blind) for blind in (BLIND, SLIGHTLY_BLIND))
        for name, serving in ((BETTER, poor), (SLIGHTLY_BETTER, weaker)):
            gains[name].append(roc_auc(good.scores.logits, holdout.y) - roc_auc(serving.scores.logits, holdout.y))
        pairs = [(BETTER, poor, good), (SLIGHTLY_BETTER, weaker, good)]
        for serving, equal in (halves, halves[::-1]):
            champion, candidate = serving.named("champion"), equal.named("candidate")
            pairs += [("no change", champion, candidate), ("recall-gamed", champion, candidate.gamed())]
        for name, serving, candidate in pairs:
            for gate, promoted in _verdicts(candidate, serving, holdout):
                counts.setdefault((gate, name), []).append(promoted)
    for name, target in (
        ("no change", "<= 0.05"),
        ("recall-gamed", "<= 0.03"),
        (BETTER, ">= 0.9"),
        (SLIGHTLY_BETTER, ">= 0.7"),
    ):
        label = f"{name} (mean {np.mean(gains[name]):+.3f} ROC-AUC)" if name in gains else f"{name}, in both roles"
        guarded, simple = counts["guarded", name], counts["simple", name]
        table.share(f"promoted: {label}, {HOLDOUT:,} rows", sum(guarded), len(guarded), target)
        table.share("  the same, simple", sum(simple), len(simple))


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a model says of the holdout, and what each of its fold models says of it, float64[k, n]."""

    scores: HoldoutScores
    folds: npt.NDArray[np.float64]

    def named(self, version: str) -> "Judged":
        return replace(self, scores=replace(self.scores, version=version))

    def gamed(self) -> "Judged":
        """With more recall, by a lower threshold alone."""
        return replace(self, scores=replace(self.scores, threshold_logit=self.scores.threshold_logit - 0.3))


def _verdicts(candidate: Judged, champion: Judged, holdout: Rows) -> list[tuple[str, bool]]:
    """Whether each gate promotes."""
    floors, sides = holdout.frame.contract.floors, (candidate.scores, champion.scores)
    case = CrossFitted(
        *sides,
        holdout.y,
        holdout.hashes,
        floors,
        Objective("recall", floors.recall),
        fold_logits=candidate.folds,
        champion_fold_logits=champion.folds,
    )
    plain = decide("simple", GateInputs(*sides, holdout.y, floors))
    return [("guarded", decide_cross_fitted(case).promote), ("simple", plain.promote)]


def judged(rows: Rows, holdout: Rows, version: str, blind: frozenset[str] = frozenset()) -> Judged:
    """A model of ``rows``, which sees nothing of the features in ``blind``, on the holdout."""
    fitted = learn(replace(rows, frame=hidden(rows.frame, blind)), version)
    frame = hidden(holdout.frame, blind)
    values = logits(fitted.model, frame)
    scores = HoldoutScores(version, values, probabilities(fitted.model, values), fitted.model.threshold_logit)
    return Judged(scores, np.stack([logits(model, frame) for model in fitted.fold_models]))


def hidden(frame: Frame, blind: frozenset[str]) -> Frame:
    columns = {name: np.zeros_like(column) if name in blind else column for name, column in frame.columns.items()}
    return Frame(frame.contract, frame.n, columns)

"""Has the data moved? Every feature, the score and the confidence against the reference, with the reason for each
verdict.

A p value alone cries wolf: with 19 features one of them is below .05 in most harmless windows, and with enough rows
always. So a check counts as drifted only when its p value survives Holm's correction over all checks *and* its effect
is large.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from stillgood.domain.drift.confidence import Confidence, compare_confidence, compare_confidence_between
from stillgood.domain.drift.profile import Histogram, Levels, Profile, Reference
from stillgood.domain.drift.summary import moved
from stillgood.domain.drift.two_sample import (
    INDEPENDENT,
    Design,
    Statistic,
    categories,
    holm,
    kolmogorov_smirnov,
    kolmogorov_smirnov_between,
)

Test = Literal["ks", "chi_square", "missing", "unseen", "score", "confidence"]
DISTRIBUTION_TESTS: frozenset[Test] = frozenset({"ks", "chi_square"})
QUALITY_TESTS: frozenset[Test] = frozenset({"missing", "unseen"})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as drift. ``alpha``: chance of any false alarm among all checks. ``effect``: least distance (0 to 1).

    ``leave_effect``: hysteresis; what drifted in the window before goes on drifting while its effect is above this.
    ``confidence_effect``: least relative change of mean confidence.
    """

    alpha: float = 0.01
    effect: float = 0.05
    leave_effect: float = 0.04
    confidence_effect: float = 0.05


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """One test of one subject: a feature, or the ``score`` over all of them.

    ``p`` and ``p_adjusted`` 0 to 1; ``effect`` is D (ks, score), total variation (chi_square), the difference of shares
    (missing, unseen) or the relative change of the mean (confidence), all 0 or more; ``least_effect`` what it must
    exceed. ``rows`` and ``reference_rows`` with a value. ``outside``: share of rows beyond anything in the reference,
    None where it has no meaning. ``direction``: which way, and by how much in the feature's unit, in words.
    ``season``: the same test against the season before, if there was one.
    """

    subject: str
    test: Test
    statistic: float
    p: float
    p_adjusted: float
    effect: float
    alpha: float
    least_effect: float
    rows: int
    reference_rows: int
    outside: float | None
    season: Statistic | None
    drifted: bool
    reason: str
    direction: str = ""

    @property
    def name(self) -> str:
        """Names the check in state and reasons, such as ``tenure:ks``."""
        return f"{self.subject}:{self.test}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Every check of a window, and what the drifted ones say.

    ``accepted``: features whose contract takes levels it does not know: more of those are drift to learn from, not a
    fault.
    """

    checks: tuple[DriftCheck, ...]
    confidence: Confidence
    thresholds: Thresholds
    accepted: frozenset[str] = frozenset()

    @property
    def drifted(self) -> tuple[DriftCheck, ...]:
        """Checks of distributions, score and confidence that drifted, largest effect first: the world may have
        changed.
        """
        drifted = [check for check in self.checks if check.drifted and not self._is_fault(check)]
        return tuple(sorted(drifted, key=lambda check: -check.effect))

    @property
    def faults(self) -> tuple[DriftCheck, ...]:
        """Checks of missing and unseen values that drifted upwards, largest effect first: something upstream broke."""
        faults = [check for check in self.checks if check.drifted and self._is_fault(check)]
        return tuple(sorted(faults, key=lambda check: -check.effect))

    def _is_fault(self, check: DriftCheck) -> bool:
        return check.test in QUALITY_TESTS and not (check.test == "unseen" and check.subject in self.accepted)

    @property
    def share(self) -> float:
        """Share of features whose distribution drifted, 0 to 1."""
        features = [check.drifted for check in self.checks if check.test in DISTRIBUTION_TESTS]
        return sum(features) / len(features) if features else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "checks": [check.to_dict() for check in self.checks],
            "drifted": [check.name for check in self.drifted],
            "faults": [check.name for check in self.faults],
            "share": self.share,
            "confidence": asdict(self.confidence) | {"change": self.confidence.change},
            "thresholds": asdict(self.thresholds),
        }


def detect_drift(
    reference: Reference,
    window: Profile,
    thresholds: Thresholds = Thresholds(),
    *,
    standing: Collection[str] = (),
    season: Profile | None = None,
    accepted: Collection[str] = (),
    units: Mapping[str, str] = {},
) -> DriftReport:
    """All checks of ``window``, Holm-corrected together.

    ``standing``: names of the checks that drifted in the window before; they get ``thresholds.leave_effect``.
    ``accepted``: names of features whose contract accepts unseen levels. ``units``: what numbers count, by feature.
    ``season``: a profile of the same phase of the season before, against the same reference. A distribution that moved
    from the reference but not from its own season is the season, not drift.
    """
    design = reference.repeats, window.entities.repeats
    confidence = compare_confidence(reference, window.scores, design)
    raw = [
        *_feature_checks(reference, window, season, design, units),
        *_score_checks(reference, window, season, confidence, design),
    ]
    adjusted = holm(np.array([check.p for check in raw]))
    checks = []
    for check, p_adjusted in zip(raw, adjusted, strict=True):
        min_effect = thresholds.confidence_effect if check.test == "confidence" else thresholds.effect
        if check.name in standing:
            min_effect *= thresholds.leave_effect / thresholds.effect
        stands = check.name in standing
        made = replace(check, p_adjusted=float(p_adjusted), alpha=thresholds.alpha, least_effect=min_effect)
        checks.append(_judged(made, stands))
    return DriftReport(tuple(checks), confidence, thresholds, frozenset(accepted))


def _feature_checks(
    reference: Reference, window: Profile, season: Profile | None, design: Design, units: Mapping[str, str]
) -> Iterator[DriftCheck]:
    between = _between(season, window)
    for name, before in reference.numeric.items():
        placed = window.numeric[name]
        statistic = kolmogorov_smirnov(before, placed, design)
        outside = placed.outside / placed.n if placed.n else 0.0
        again = _placed_again(season.numeric[name], placed, between) if season else None
        way = moved(before, placed, units.get(name, ""))
        yield _check(name, "ks", statistic, placed.n, before.n, outside, again, way)
        yield _share(name, "missing", (before.n, before.nulls), (placed.n, placed.nulls), design)
    for name, levels in reference.categorical.items():
        now = window.categorical[name]
        *_, unseen_before, nulls_before = levels.counts.tolist()
        *_, unseen, nulls = now.counts.tolist()
        n, n_before = int(now.counts.sum()) - nulls, int(levels.counts.sum()) - nulls_before
        again = _levels_again(season.categorical[name], now, between) if season else None
        # Unseen values are a column of the table, nulls a test of their own: they mean that something broke.
        statistic = categories(levels.counts[:-1], now.counts[:-1], design)
        yield _check(name, "chi_square", statistic, n, n_before, None, again, moved(levels, now))
        yield _share(name, "missing", (n_before, nulls_before), (n, nulls), design)
        yield _share(name, "unseen", (n_before - unseen_before, unseen_before), (n - unseen, unseen), design)


def _score_checks(
    reference: Reference, window: Profile, season: Profile | None, confidence: Confidence, design: Design
) -> Iterator[DriftCheck]:
    between = _between(season, window)
    placed = window.scores.placed
    statistic = kolmogorov_smirnov(reference.score, placed, design)
    again = _placed_again(season.scores.placed, placed, between) if season else None
    way = moved(reference.score, placed)
    yield _check("score", "score", statistic, placed.n, reference.score.n, None, again, way)
    sure = compare_confidence_between(season.scores, window.scores, between) if season and season.scores.n else None
    sure_now, sure_before = confidence.mean, confidence.reference_mean
    side = "more sure" if sure_now > sure_before else "less sure"
    way = f"{side} (mean distance from .5: {sure_before:.3f} to {sure_now:.3f})"
    yield _check("score", "confidence", confidence.test, confidence.rows, confidence.reference_rows, None, sure, way)


def _between(season: Profile | None, window: Profile) -> Design:
    return INDEPENDENT if season is None else (season.entities.repeats, window.entities.repeats)


def _placed_again(season: Histogram, now: Histogram, design: Design) -> Statistic | None:
    return kolmogorov_smirnov_between(season, now, design) if season.n else None


def _levels_again(season: Levels, now: Levels, design: Design) -> Statistic | None:
    return categories(season.counts[:-1], now.counts[:-1], design) if season.counts[:-1].any() else None


def _share(name: str, test: Test, before: tuple[int, int], now: tuple[int, int], design: Design) -> DriftCheck:
    """The test of the 2 x 2 table of (with, without); only a share that grew is a fault, so a fallen one has effect
    0.
    """
    statistic = categories(np.array(before), np.array(now), design)
    grew = now[1] * sum(before) > before[1] * sum(now)
    shares = [part[1] / sum(part) if sum(part) else 0.0 for part in (before, now)]
    felt = statistic if grew else replace(statistic, effect=0.0)
    way = f"{shares[0]:.1%} to {shares[1]:.1%} of the rows"
    return _check(name, test, felt, sum(now), sum(before), None, None, way)


def _check(
    subject: str,
    test: Test,
    statistic: Statistic,
    rows: int,
    before: int,
    outside: float | None,
    season: Statistic | None,
    direction: str,
) -> DriftCheck:
    return DriftCheck(
        subject,
        test,
        statistic.value,
        statistic.p,
        statistic.p,
        statistic.effect,
        0.0,
        0.0,
        rows,
        before,
        outside,
        season,
        False,
        "",
        direction,
    )


def _judged(check: DriftCheck, stands: bool) -> DriftCheck:
    """A season absorbs what comes back with it, not what was there yesterday and stays (``stands``)."""
    significant, large = check.p_adjusted < check.alpha, check.effect > check.least_effect
    seasonal = (
        not stands
        and check.season is not None
        and not (check.season.p < check.alpha and check.season.effect > check.least_effect)
    )
    figures = (
        f"effect {check.effect:.3f} (least {check.least_effect:.3f}), adjusted p {check.p_adjusted:.2g} (alpha"
        f" {check.alpha:g})"
    )
    if check.rows == 0:
        reason = "no values in the window to compare"
    elif not significant and not large:
        reason = f"as in the reference: {figures}"
    elif not significant:
        reason = f"too few rows to tell from chance: {figures}"
    elif not large:
        reason = f"real but too small to matter: {figures}"
    elif seasonal:
        reason = f"moved from the reference as it did a season ago: {figures}"
    else:
        way = f", {check.direction}" if check.direction else ""
        reason = f"{_VERDICTS[check.test]}{way}: {figures}"
    if check.outside:
        reason += f"; {check.outside:.1%} of the values lie outside the reference's range"
    return replace(check, drifted=significant and large and not seasonal and check.rows > 0, reason=reason)


_VERDICTS: dict[Test, str] = {
    "ks": "the distribution moved",
    "chi_square": "the mix of levels moved",
    "missing": "more values are missing",
    "unseen": "more values are of a level that the contract does not know",
    "score": "the scores moved",
    "confidence": "the model is more or less sure than it was",
}

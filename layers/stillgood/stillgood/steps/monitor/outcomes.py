"""Judge the champion by what came true: spans that can be trusted, its labelled rows since it began, and the model
before it.

A prediction is judged once it has matured: a label that arrived sooner says yes sooner than no, so early ones are no
sample. A label that comes later is read whenever it comes, and its prediction is judged again.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from stillgood.domain.actions.groups import stand_in
from stillgood.domain.actions.jump import Jump
from stillgood.domain.contract.contract import Contract
from stillgood.domain.drift.performance import RealisedPerformance, realise_performance
from stillgood.domain.errors import ModelUnusable, StillgoodError
from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.outcomes.coverage import (
    NO_CHANCE,
    SELECTED_P,
    Sample,
    Span,
    judge_span,
    selection_p,
    unlabelled_callers,
)
from stillgood.domain.outcomes.evidence import LabelledRows, OutcomeEvidence, microseconds, moment
from stillgood.domain.outcomes.feeds import DAY, GRACE_DAYS, Feed
from stillgood.domain.outcomes.ledger import (
    POSITIVE,
    UNKNOWN,
    Bools,
    Ids,
    OutcomeDay,
    Records,
    blank,
    identity,
    is_known,
)
from stillgood.domain.outcomes.sources import ANONYMOUS, CALLER, IDENTIFIED, STANDINGS, VOUCHED
from stillgood.domain.outcomes.trust import Opposite, SourceOutcomes, contradicting, opposite
from stillgood.domain.promotion.decision import Pointer, Release
from stillgood.domain.statistics.clustered import paired_clustered
from stillgood.domain.statistics.delong import paired_delong
from stillgood.domain.statistics.intervals import Estimate
from stillgood.steps.labels.ingest import ingest_label_files
from stillgood.steps.monitor.acted import (
    action_evidence,
    entities_of,
    find_jump,
    labelled_rows,
    newest,
    without_flagged,
)
from stillgood.steps.monitor.hear import Heard, first_hour, hear
from stillgood.steps.monitor.hours import ahead, readers
from stillgood.steps.monitor.training_rows import learnable, write_training_rows
from stillgood.steps.monitor.worth import flagged, worth
from stillgood.steps.ports import Clock
from stillgood.storage.champion import load_model
from stillgood.storage.objects import ObjectStore
from stillgood.storage.outcomes import change_touched, ledger_days, read_day
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, iso

MIN_OF_EACH = 20  # positives and negatives, for an ROC-AUC that says something
GAIN_Z = 3.2905  # two-sided 99.9%
MAX_ROWS = 200_000  # predictions judged by: more would not change a figure, and memory stays flat
MAX_DAYS = 366  # with predictions, judged by: what a window costs does not grow with the champion's age
POOLED_DAYS = 30  # over which a weak choice of labels is looked for
_EARLY_DAYS = 7.0  # of arrival, over which labels of a caller who sends few are put together
_SPANS_REPORTED = 10
_MIN_SILENT = 30  # predictions without a label, before their silence is missed
_WAITS = "labels of predictions that have matured (POST /labels, or files under labels/incoming/)"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the labels say of the champion; None where too few rows have one. ``labels`` is for the report.

    ``written``: counts of the training rows written now; not for the report, since a retry finds them written.
    """

    realised: RealisedPerformance | None = None
    recent: RealisedPerformance | None = None
    previous_gain: Estimate | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    evidence: OutcomeEvidence = field(default_factory=OutcomeEvidence)
    written: Mapping[str, int] = field(default_factory=dict)


def take_label_files(store: ObjectStore, pointer: Pointer, clock: Clock) -> dict[str, int]:
    """Take uploaded label files in. Idempotent."""
    contract = load_model(store, pointer).contract
    by_date = Feed.of(contract).by_file_date
    return ingest_label_files(store, contract.target, clock, complete_by_file_date=by_date)


def outcomes(
    store: ObjectStore, contract: Contract, pointer: Pointer, window: Window, *, settled: datetime, now: datetime
) -> Outcomes:
    """Hear what was sent, judge the champion on what has matured when ``window`` ends, and write training rows of what
    has by ``now``.

    Raises StoreUnavailable, ModelUnusable.
    """
    with readers(store) as pool:
        heard = hear(store, contract, pool, settled=settled)
        feed = Feed.of(contract)
        if heard is None:
            return Outcomes(evidence=OutcomeEvidence(**_never_heard(store, feed, window)))
        until = feed.matured_until(microseconds(now), heard.complete)
        # By the calendar, though silence may say nothing yet: what is due and does not come is told.
        days = _matured_days(store, pool, heard, microseconds(now) - feed.matures)
        sources = _sources(feed, days, until)
        lately = _lately(store, pool, feed, heard, days)
        unsigned = sources.unsigned or any(_sources(feed, {day: known}, None).unsigned for day, known in lately.items())
        turned = _opposite(feed, days | lately, microseconds(window.start), microseconds(window.end))
        sound = _sound(days, sources)
        quiet = _unlabelled(feed, sound, heard.complete, until)
        spans = _spans(contract, feed, sound, heard.complete, until, quiet)
        rival = _rival(store, pointer) if learnable(contract) else None
        trusted = _trusted(spans, sound, feed, heard.complete, until, quiet)
        jump = find_jump(contract, sound, trusted)
        if contract.actions is None and jump is not None and jump.detected:
            trusted = without_flagged(days, trusted)
        days, written = write_training_rows(store, contract, pool, days, trusted, pointer.version, rival)
        last = moment(microseconds(now) - feed.matures).date()  # of which more may mature
        change_touched(store, remove=[day for day in heard.touched if day < last])
    known = _Known(heard, days, spans, sources, quiet, written)
    return _judge(contract, feed, pointer, window, known, jump, unsigned=unsigned, opposite=turned)


@dataclass(frozen=True, slots=True)
class _Sources:
    """Who told how many of the outcomes of the days that are judged; ``contradicting`` as in OutcomeEvidence."""

    counts: Mapping[str, int]
    anonymous: frozenset[str]
    vouched: frozenset[str]
    contradicting: tuple[str, ...]

    @property
    def unsigned(self) -> bool:
        """Whether some outcomes were told by nobody who signed."""
        return any(self.counts.get(name) for name in self.anonymous)

    @property
    def muted(self) -> frozenset[str]:
        return self.anonymous | frozenset(self.contradicting)


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What is judged by: the days after what was ``heard``, in ``spans``, by ``sources``. ``quiet`` uint64[k]: callers
    whose rows nobody labels. ``written``: counts of training rows.
    """

    heard: Heard
    days: Mapping[date, OutcomeDay]
    spans: tuple[Span, ...]
    sources: _Sources
    quiet: Ids
    written: Mapping[str, int]


def _sources(feed: Feed, days: Mapping[date, OutcomeDay], until: int | None) -> _Sources:
    names = sorted({name for day in days.values() for name in day.sources})
    standing = {name: feed.standing(name) for name in names}
    anonymous = frozenset(name for name in names if standing[name] == ANONYMOUS)
    reports: dict[str, list[SourceOutcomes]] = {name: [] for name in names}
    counts = dict.fromkeys(names, 0)
    newest = max(days, default=None)
    for day, known in days.items():
        records = known.records
        counted = is_known(records["outcome"])
        for name in known.sources:
            own = counted & known.sent_by([name])
            counts[name] += int(own.sum())
            if newest is not None and (newest - day).days < POOLED_DAYS and name not in anonymous:
                matured = records[own & (records["time"] <= (until or 0))]
                reports[name].append(_told(matured))
    suspects = [name for name in names if standing[name] == IDENTIFIED]
    pooled = {name: SourceOutcomes.together(parts) for name, parts in reports.items() if parts}
    return _Sources(
        {name: count for name, count in counts.items() if count},
        anonymous,
        frozenset(name for name in names if standing[name] == VOUCHED),
        contradicting(pooled, suspects) if suspects else (),
    )


def _lately(
    store: ObjectStore, pool: Executor, feed: Feed, heard: Heard, days: Mapping[date, OutcomeDay]
) -> dict[date, OutcomeDay]:
    """The days that have not matured and have labels, those records only, the newest first: who sends opposite labels,
    or does not sign them, is told at once. Empty where all sources are vouched for, since there nobody is looked at.
    """
    if all(feed.standing(name) == VOUCHED for name in heard.progress.sources):
        return {}
    sizes = ledger_days(store)
    newer = {day: sizes[day] for day in sorted(heard.touched, reverse=True) if day not in days and day in sizes}
    found: dict[date, OutcomeDay] = {}
    for day, known in _read_days(store, pool, newer):
        found[day] = replace(known, records=known.records[is_known(known.records["outcome"])])
        if sum(labelled.n for labelled in found.values()) >= MAX_ROWS:
            break
    return found


def _opposite(feed: Feed, days: Mapping[date, OutcomeDay], start: int, end: int) -> tuple[Opposite, ...]:
    """The identified callers whose newest labels say the opposite of the scores: those that arrived in the window from
    ``start`` to ``end`` (microseconds), or in the week until then, of which few have enough.

    Compared with what vouched sources say of the same days; else with all that others said before, or itself did.
    """
    pooled = sorted(days)[-POOLED_DAYS:] if days else []
    by_name = {name: feed.standing(name) for name in sorted({name for day in pooled for name in days[day].sources})}
    anonymous = [name for name, standing in by_name.items() if standing == ANONYMOUS]
    vouched = [name for name, standing in by_name.items() if standing == VOUCHED]
    found = {}
    for name in (name for name, standing in by_name.items() if standing == IDENTIFIED):
        for since in (start, min(start, end - round(_EARLY_DAYS * DAY))):
            own, beside, before, own_before = [], [], [], []
            for day in pooled:
                records = days[day].records
                known = is_known(records["outcome"]) & ~days[day].sent_by(anonymous)
                sent, old = known & days[day].sent_by([name]), records["arrived"] <= since
                if (new := sent & ~old).any():
                    own.append(_told(records[new]))
                    beside.append(_told(records[known & days[day].sent_by(vouched)]))
                before.append(_told(records[known & ~sent & old]))
                own_before.append(_told(records[sent & old]))
            parts = [SourceOutcomes.together(part) for part in (own, beside, before, own_before)]
            if name not in found and (turned := opposite(name, parts[0], parts[1:])) is not None:
                found[name] = turned
    return tuple(found.values())


def _told(records: Records) -> SourceOutcomes:
    return SourceOutcomes(records["probability"], records["outcome"] == POSITIVE, records["entity"])


def _sound(days: Mapping[date, OutcomeDay], sources: _Sources) -> dict[date, OutcomeDay]:
    """The days without the labels of sources that neither judge nor teach."""
    return {day: known.without(sources.muted) for day, known in days.items()}


def _matured_days(store: ObjectStore, pool: Executor, heard: Heard, until: int) -> dict[date, OutcomeDay]:
    """The days with matured predictions, oldest first: the newest ``MAX_ROWS`` predictions of at most ``MAX_DAYS``,
    and those whose outcomes changed now.
    """
    last = moment(until).date()
    sizes = ledger_days(store)
    listed = {day: sizes[day] for day in reversed(sizes) if day <= last}
    matured: dict[date, OutcomeDay] = {}
    total = 0
    for day, known in _read_days(store, pool, listed):
        full = total >= MAX_ROWS or len(matured) >= MAX_DAYS
        if not full or day in heard.touched:
            matured[day] = known
        total += known.n
        if full and not any(touched < day for touched in heard.touched):
            break
    return dict(sorted(matured.items()))


def _read_days(store: ObjectStore, pool: Executor, days: Mapping[date, int]) -> Iterator[tuple[date, OutcomeDay]]:
    reads = ((partial(read_day, store, day), size) for day, size in days.items())
    for day, (known, _) in zip(days, ahead(pool, reads), strict=True):
        if known is not None:
            yield day, known


def _unlabelled(feed: Feed, days: Mapping[date, OutcomeDay], complete: int | None, until: int | None) -> Ids:
    """uint64[k]: the callers whose rows nobody labels, over all days that are judged, so that labels which are merely
    late keep nobody out. Whom the contract vouches for is none of them.
    """
    callers, labelled = [np.empty(0, np.uint64)], [np.empty(0, np.bool_)]
    for day in days.values() if until is not None else ():
        mature = day.records["time"] <= until
        callers.append(day.records["caller"][mature])
        labelled.append(is_known(feed.outcomes(day.records, complete))[mature])
    vouched = np.array([identity(name.removeprefix(CALLER)) for name in feed.vouched], np.uint64)
    return np.setdiff1d(unlabelled_callers(np.concatenate(callers), np.concatenate(labelled)), vouched)


def _sample(day: OutcomeDay, feed: Feed, complete: int | None, mature: Bools) -> Sample:
    records = day.records[mature]
    known = feed.outcomes(records, complete)
    return Sample(
        records["model"].astype(np.int64),
        is_known(known),
        known == POSITIVE,
        records["score"],
        records["probability"],
        records["decision"],
    )


def _spans(
    contract: Contract,
    feed: Feed,
    days: Mapping[date, OutcomeDay],
    complete: int | None,
    until: int | None,
    quiet: Ids,
) -> tuple[Span, ...]:
    """Adjoining days, as many as it takes for ``min_rows`` predictions; what is left over at the end joins the span
    before. Rows of ``quiet`` callers are only counted.
    """
    if until is None:
        return ()
    samples, unlabelled = {}, {}
    for day, known in days.items():
        mature, left_out = known.records["time"] <= until, known.of_callers(quiet)
        if len((made := _sample(known, feed, complete, mature & ~left_out)).labelled):
            samples[day], unlabelled[day] = made, int((mature & left_out).sum())
    if not samples:
        return ()
    newest = max(samples)
    pool = [made for day, made in samples.items() if (newest - day).days < POOLED_DAYS]
    picked = selection_p(Sample.together(pool)) < SELECTED_P
    groups: list[list[date]] = [[]]
    size = 0
    for day, made in samples.items():
        if size >= contract.monitoring.min_rows:
            groups.append([])
            size = 0
        groups[-1].append(day)
        size += len(made.labelled)
    if size < contract.monitoring.min_rows and len(groups) > 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return tuple(
        judge_span(
            _midnight(group[0]),
            _midnight(group[-1]) + timedelta(days=1),
            Sample.together([samples[day] for day in group]),
            min_rows=contract.monitoring.min_rows,
            min_coverage=feed.min_coverage,
            picked=picked and (newest - group[-1]).days < POOLED_DAYS,
            unlabelled=sum(unlabelled[day] for day in group),
        )
        for group in groups
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _trusted(
    spans: tuple[Span, ...],
    days: Mapping[date, OutcomeDay],
    feed: Feed,
    complete: int | None,
    until: int | None,
    quiet: Ids,
) -> dict[date, tuple[Bools, Bools]]:
    """By day: which predictions of trusted spans have a known outcome (bool[n]), and which is positive (bool[n]); rows
    of ``quiet`` callers are not in the spans.
    """
    trusted = {}
    for day, known in days.items():
        if until is not None and any(span.trusted and span.start <= _midnight(day) < span.end for span in spans):
            said = feed.outcomes(known.records, complete)
            counted = (known.records["time"] <= until) & ~known.of_callers(quiet)
            trusted[day] = (counted & is_known(said), said == POSITIVE)
    return trusted


def _judge(
    contract: Contract,
    feed: Feed,
    pointer: Pointer,
    window: Window,
    known: _Known,
    jump: Jump | None,
    *,
    unsigned: bool,
    opposite: tuple[Opposite, ...],
) -> Outcomes:
    heard, sources, spans = known.heard, known.sources, known.spans
    until = feed.matured_until(microseconds(window.end), heard.complete)
    days = _sound(known.days, sources)
    trusted = _trusted(spans, days, feed, heard.complete, until, known.quiet)
    by_silence = any(feed.standing(name) == VOUCHED for name in heard.progress.watermarks)
    records, positive = _of_champion(days, trusted, pointer.version)
    vouched = {day: _vouched(made, sources, by_silence) for day, made in days.items()}
    signed = _signed(days, trusted, vouched, pointer.version)
    rows, stand = labelled_rows(records, positive)
    rows = replace(rows, vouched=signed[stand.index]) if rows.n else rows
    count = newest(records, positive, contract.monitoring.min_rows, MIN_OF_EACH)
    cut = slice(len(records) - count, None)
    recent = labelled_rows(records[cut], positive[cut])[0] if count < len(records) else rows
    learnable = (days[day].records["time"][which] for day, (which, _) in trusted.items())
    evidence = OutcomeEvidence(
        rows=rows,
        recent=recent,
        spans=spans,
        min_coverage=feed.min_coverage,
        actions=action_evidence(contract, records, stand, jump),
        **_deaf(feed, window, known, days),
        unsigned=unsigned,
        contradicting=sources.contradicting,
        opposite=opposite,
        learnable=np.sort(np.concatenate([np.empty(0, np.int64), *learnable])),
    )
    realised = _realise(rows, pointer, evidence, contract.monitoring.min_rows)
    figures = _label_figures(feed, known, evidence, days, window) | {"sources": _listed(feed, sources)}
    if contract.control is not None:
        figures["worth"] = worth(contract, *flagged(days, trusted))
    return Outcomes(
        realised=realised,
        recent=_realise(recent, pointer, evidence, contract.monitoring.min_rows) if recent.n < rows.n else None,
        previous_gain=_previous_gain(days, trusted, vouched, pointer) if realised is not None else None,
        labels=figures,
        evidence=evidence,
        written=known.written,
    )


def _never_heard(store: ObjectStore, feed: Feed, window: Window) -> dict[str, Any]:
    """Since when labels are due, where none was ever sent."""
    first = first_hour(store)
    due = None if first is None else first + timedelta(microseconds=feed.matures)
    late = due is not None and due + timedelta(days=GRACE_DAYS) < window.end
    return {"deaf_since": due if late else None, "waits_for": _WAITS}


def _deaf(feed: Feed, window: Window, known: _Known, days: Mapping[date, OutcomeDay]) -> dict[str, Any]:
    """Since when labels that were due have not come: so many predictions without one, after the last with one, are no
    chance. Those of callers whose rows nobody labels are not waited for.
    """
    due = microseconds(window.end) - feed.matures - round(GRACE_DAYS * DAY)
    times, said = [np.empty(0, np.int64)], [np.empty(0, bool)]
    for day in days.values():
        counted = ~day.of_callers(known.quiet)
        times.append(day.records["time"][counted])
        said.append(is_known(feed.outcomes(day.records, known.heard.complete))[counted])
    at, labelled = np.concatenate(times), np.concatenate(said)
    last = int(at[labelled].max()) if labelled.any() else None
    silent = at[(at <= due) & ((last is None) | (at > (last or 0)))]
    shares = [span.coverage for span in known.spans if span.labelled]
    usual = max(sum(shares) / len(shares) if shares else 1.0, 0.01)
    if len(silent) < max(_MIN_SILENT, NO_CHANCE / usual):
        return {}
    since = moment(int(silent.min()) + feed.matures)
    waits = _WAITS
    if feed.silence_is_negative:
        waits = "a complete_until with the labels, or the file's date by contract: without it silence says nothing"
    return {"deaf_since": since, "waits_for": waits}


def _vouched(day: OutcomeDay, sources: _Sources, by_silence: bool) -> Bools:
    """bool[n]: outcomes told by somebody who is vouched for; of silence, whether one of those said it told all."""
    silent = (day.records["place"] == 0) | day.sent_by(sources.muted)
    return np.where(silent, by_silence, day.sent_by(sources.vouched))


def _listed(feed: Feed, sources: _Sources) -> list[dict[str, Any]]:
    """For the report: who told how many outcomes, the largest first, and whether they count."""
    total = sum(sources.counts.values())
    return [
        {
            "source": name,
            "standing": STANDINGS[feed.standing(name)],
            "labels": count,
            "share": count / total,
            "counts": name not in sources.muted,
        }
        for name, count in sorted(sources.counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_SPANS_REPORTED]
    ]


def _signed(
    days: Mapping[date, OutcomeDay],
    trusted: Mapping[date, tuple[Bools, Bools]],
    vouched: Mapping[date, Bools],
    version: str,
) -> Bools:
    """bool[n]: of the records of ``_of_champion``, which outcomes somebody told who is vouched for."""
    parts = [vouched[day][known & days[day].of_model(version)] for day, (known, _) in trusted.items()]
    return np.concatenate([np.empty(0, np.bool_), *parts])


def _of_champion(
    days: Mapping[date, OutcomeDay], trusted: Mapping[date, tuple[Bools, Bools]], version: str
) -> tuple[Records, Bools]:
    """The champion's records whose outcome is known, oldest first, and which is positive."""
    parts, outcomes = [blank(0)], [np.empty(0, np.bool_)]
    for day, (known, positive) in trusted.items():
        own = known & days[day].of_model(version)
        parts.append(days[day].records[own])
        outcomes.append(positive[own])
    return np.concatenate(parts), np.concatenate(outcomes)


def _realise(
    rows: LabelledRows, pointer: Pointer, evidence: OutcomeEvidence, min_rows: int
) -> RealisedPerformance | None:
    if rows.n < min_rows or rows.of_the_rarer < MIN_OF_EACH:
        return None
    return realise_performance(
        rows.scores,
        rows.probabilities,
        rows.decisions,
        rows.outcomes,
        promised=_promised(pointer),
        coverage=evidence.coverage,
        biased=False,  # rows of selected spans are not among them
        entities=None if rows.strata is None else rows.entities,
        strata=rows.strata,
    )


def _promised(pointer: Pointer) -> Metrics:
    try:
        return Metrics.from_dict(pointer.metrics)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelUnusable(
            f"The metrics of champion {pointer.version} are malformed ({type(error).__name__}: {error}); promote a"
            " version anew."
        ) from error


def _rival(store: ObjectStore, pointer: Pointer) -> Release | None:
    """The champion before this one, if it is to be looked at: not after a rollback, since the version before was found
    worse
    already, and two models must not take turns."""
    if pointer.previous is None:
        return None
    try:
        return pointer.previous if Registry(store).decision(pointer.decision).action == "promote" else None
    except StillgoodError:
        return None


def _previous_gain(
    days: Mapping[date, OutcomeDay],
    trusted: Mapping[date, tuple[Bools, Bools]],
    vouched: Mapping[date, Bools],
    pointer: Pointer,
) -> Estimate | None:
    """ROC-AUC of the previous champion minus the champion's on the same rows, with a 99.9% interval: it is looked at
    every window. It may roll back, so it is of vouched labels only.

    None when there is no previous one, or it could not score what was captured.
    """
    if pointer.previous is None:
        return None
    parts, said = [], []
    for day, (known, positive) in trusted.items():
        made = days[day]
        if made.previous_model != pointer.previous.version:
            continue
        rows = known & vouched[day] & made.of_model(pointer.version) & ~np.isnan(made.records["previous"])
        parts.append(made.records[rows])
        said.append(positive[rows])
    if not said:
        return None
    records, outcome = np.concatenate(parts), np.concatenate(said)
    stand = stand_in(records["group"], records["score"])
    if not stand.observed:
        return None
    acted, judging = bool((stand.strata >= 0).any()), records[stand.index]
    scores = (judging["previous"], judging["score"], outcome[stand.index])
    try:
        test = paired_clustered(*scores, entities_of(judging)) if acted else paired_delong(*scores)
    except (StillgoodError, ValueError):
        return None
    reach = GAIN_Z * test.standard_error
    return Estimate(test.difference, test.difference - reach, test.difference + reach)


def _label_figures(
    feed: Feed, known: _Known, evidence: OutcomeEvidence, days: Mapping[date, OutcomeDay], window: Window
) -> dict[str, Any]:
    heard = known.heard
    progress = heard.progress
    predictions = sum(span.predictions for span in evidence.spans)
    return {
        "predictions": predictions,
        "labelled": sum(span.labelled for span in evidence.spans),
        "of_the_champion": evidence.rows.n,
        "coverage": evidence.coverage,
        "unlabelled": {"callers": len(known.quiet), "rows": sum(span.unlabelled for span in evidence.spans)},
        "biased": evidence.biased,
        "spans": [span.to_dict() for span in evidence.spans[-_SPANS_REPORTED:]],
        "missing": predictions - sum(span.labelled for span in evidence.spans),
        "heard": dict(sorted(progress.totals.items())) | {"waiting": len(progress.waiting)},
        "examples": dict(sorted(progress.examples.items())),
        "newest": _moment(progress.newest),
        "complete_until": _moment(heard.complete) if feed.silence_is_negative else None,
        "unreadable": list(heard.unreadable),
        "late_captures": heard.late,
        "late": _late_labels(feed, days, window),
        "learnt": sum(int((day.records["learnt"] != UNKNOWN).sum()) for day in days.values()),
        "actions": evidence.actions.to_dict(),
    }


def _late_labels(feed: Feed, days: Mapping[date, OutcomeDay], window: Window) -> int:
    """Labels that arrived in ``window`` of predictions that had matured before it: the report before was made without
    them.
    """
    start, end = microseconds(window.start), microseconds(window.end)
    count = 0
    for known in days.values():
        records = known.records
        arrived = (records["arrived"] > start) & (records["arrived"] <= end)
        count += int((is_known(records["outcome"]) & arrived & (records["time"] <= start - feed.matures)).sum())
    return count


def _moment(at: int | None) -> str | None:
    return None if at is None else iso(moment(at))

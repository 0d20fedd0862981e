"""A table becomes a world, or a sentence about what is wrong with it. Everything is checked before anything is
played.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.draft import draft
from stillgood.domain.contract.reader import read_contract
from stillgood.simulation.rehearsal.plan import HistoryInvalid, Plan, in_days
from stillgood.simulation.world import Ints, Times
from stillgood.simulation.worlds.history import History, LabelFeed
from stillgood.storage.windows import Window, iso

MIN_LAST_SHARE = 0.5  # of a window's length that the last rows must reach into, for it to count
MOST = 0.95  # of the delays of labels, after which they count as final
_SECOND, _DAY = np.timedelta64(1, "s"), np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True, eq=False)
class Chronicle:
    """A history that can be played. ``notes`` are sentences for people; ``first_rows`` is how many the first model
    learns from.
    """

    world: History
    contract: Contract
    first_rows: int
    rows: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FirstDraft:
    """Instead of a contract: draft one from the first windows only, as somebody would have who began then."""

    target: str
    positive: str
    id_column: str | None = None
    time_column: str | None = None


def chronicle(table: pd.DataFrame, contract: Contract | FirstDraft, plan: Plan, *, now: datetime) -> Chronicle:
    """``table``: the rows with columns as the contract names them, text or numbers; ``now`` (aware): no row may be
    later.

    Raises HistoryInvalid, and ContractInvalid where a draft cannot be made.
    """
    target = contract.target if isinstance(contract, FirstDraft) else contract.target.name
    _check_columns(table, contract, target, plan)
    notes: list[str] = []
    times = _times(table, contract.time_column, plan)
    if plan.sort and len(times):
        order = np.argsort(times, kind="stable")
        table, times = table.iloc[order].reset_index(drop=True), times[order]
    _check_order(times, contract.time_column, now)
    table = table.reset_index(drop=True)
    spans, edges = _windows(table, times, plan, notes)
    times = _placed(table, times, spans, edges) if contract.time_column is None else times
    outcome = table[target].astype(object).map(lambda value: "" if pd.isna(value) else str(value).strip())
    _check_outcomes(outcome.to_numpy(), edges, plan, target)
    if isinstance(contract, FirstDraft):
        contract = _drafted(table.iloc[: edges[plan.first]], contract, plan)
    labelled = outcome.isin([contract.target.positive, contract.target.negative]).to_numpy()
    if not labelled.all():
        notes.append(f"{int((~labelled).sum()):,} rows have no outcome: they are predicted, and never labelled.")
    if plan.action_column is not None:
        acted = _acted(table, contract, plan.action_column, notes)
        labelled = labelled & ~acted
        # Rows of the first windows are only learnt from, so those that were acted on are of no use.
        keep = ~acted | (np.arange(len(table)) >= edges[plan.first])
        edges = np.concatenate([[0], np.cumsum(keep)])[edges]
        table, times, outcome, labelled = table[keep].reset_index(drop=True), times[keep], outcome[keep], labelled[keep]
    y = np.where(labelled, outcome.eq(contract.target.positive), -1).astype(np.int8)
    known = _known(table, times, labelled, plan)
    notes += _patience(contract, times, known, edges[plan.first])
    _check_identities(table, times, contract)
    columns = [name for name in table.columns if name in contract.columns]
    world = History(
        contract,
        table[columns],
        times,
        known,
        y,
        spans[plan.first :],
        feed=LabelFeed(plan.label_coverage, "flagged" if plan.label_flagged_only else "all", seed=plan.seed),
        slices=plan.slices,
    )
    first = int(edges[plan.first])
    both = Counter(y[:first].tolist())
    if not both[0] or not both[1]:
        only = contract.target.negative if both[0] else contract.target.positive
        raise HistoryInvalid(
            f"All {both[0] + both[1]:,} outcomes of the first {plan.first} windows are {only!r}; a first model needs"
            " both. Give it more windows (--first)."
        )
    for at, (low, high) in enumerate(zip(edges[plan.first : -1], edges[plan.first + 1 :], strict=True)):
        classes = set(y[low:high].tolist()) - {-1}
        if len(classes) < 2:
            what = "no outcome" if not classes else "one outcome only"
            notes.append(f"Window {at + 1} ({iso(world.spans[at].start)[:10]}) holds {what}: it has no ROC-AUC.")
    return Chronicle(world, contract, first, len(table), tuple(notes))


def _check_columns(table: pd.DataFrame, contract: Contract | FirstDraft, target: str, plan: Plan) -> None:
    if not len(table):
        raise HistoryInvalid("The table has no rows.")
    has = ", ".join(map(str, table.columns[:12]))
    for what, name in (
        ("label time", plan.label_time),
        ("action", plan.action_column),
        ("window", plan.window_column),
        ("outcome", target),
    ):
        if name is not None and name not in table.columns:
            raise HistoryInvalid(f"There is no {what} column {name!r}; the table has {has}.")
    if contract.time_column is None and plan.window_column is None:
        raise HistoryInvalid(
            "Nothing says when a row was true: name the contract's time column, or a column of windows (window_column)."
        )
    if contract.time_column is not None and contract.time_column not in table.columns:
        raise HistoryInvalid(f"There is no time column {contract.time_column!r}; the table has {has}.")
    if isinstance(contract, Contract) and (
        missing := [feature.name for feature in contract.features if feature.name not in table.columns]
    ):
        raise HistoryInvalid(
            f"The contract {contract.name!r} is of another table: it names {', '.join(missing[:5])}, which"
            f" {'is' if len(missing) == 1 else 'are'} not there. The table has {has}."
        )


def _times(table: pd.DataFrame, column: str | None, plan: Plan) -> Times:
    if column is None:
        return np.empty(0, dtype="datetime64[us]")
    return _moments(table[column].reset_index(drop=True), f"time column {column!r}")


def _moments(column: "pd.Series[Any]", what: str) -> Times:
    """datetime64[us][n] in UTC; times without an offset are UTC. The column's index is the place in the table. Raises
    HistoryInvalid with the first that is none.
    """
    moments = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
    if moments.isna().any():
        first = int(np.flatnonzero(moments.isna().to_numpy())[0])
        raise HistoryInvalid(
            f"Row {int(column.index[first]) + 1} of the {what} holds {str(column.iloc[first])[:40]!r}, which is no time"
            " such as 2026-01-31 or 2026-01-31T09:00:00Z."
        )
    return np.asarray(moments.dt.tz_localize(None).to_numpy(), dtype="datetime64[us]")


def _shown(moment: np.datetime64) -> str:
    """
    >>> _shown(np.datetime64("2026-01-31T09:00:00", "us")), _shown(np.datetime64("2026-01-31T09:00:00.5", "us"))
    ('2026-01-31T09:00:00Z', '2026-01-31T09:00:00.500000Z')
    """
    return f"{str(moment).removesuffix('.000000')}Z"


def _check_order(times: Times, column: str | None, now: datetime) -> None:
    if not len(times):
        return
    back = np.flatnonzero(times[1:] < times[:-1])
    if len(back):
        place = int(back[0]) + 1
        raise HistoryInvalid(
            f"Rows are not in the order of time: row {place + 1} ({_shown(times[place])}) comes after row"
            f" {place} ({_shown(times[place - 1])}). Sort the table by {column!r}, or have it sorted: --sort, in Python"
            " sort=True."
        )
    if (latest := times[-1]) > np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us"):
        late = int((times > np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")).sum())
        raise HistoryInvalid(
            f"{late:,} {'row is' if late == 1 else 'rows are'} dated in the future, the last {_shown(latest)}. Is"
            f" {column!r} when a row was true?"
        )


def _windows(table: pd.DataFrame, times: Times, plan: Plan, notes: list[str]) -> tuple[tuple[Window, ...], Ints]:
    """The windows, and int64[windows + 1] the places in the table at which each begins. Raises HistoryInvalid."""
    spans, edges = _named(table, times, plan) if plan.window_column else _dated(times, plan, notes)
    if len(spans) <= plan.first:
        raise HistoryInvalid(
            f"The history makes {len(spans)} window{'s' * (len(spans) != 1)}, and the first model learns from"
            f" {plan.first}: none is left to rehearse. Make windows shorter (--window), or let it learn"
            " from fewer (--first)."
        )
    return spans, edges


def _dated(times: Times, plan: Plan, notes: list[str]) -> tuple[tuple[Window, ...], Ints]:
    start = times[0].astype("datetime64[D]").astype("datetime64[us]")
    length = np.timedelta64(round(plan.window_days * 86_400), "s")
    count = int((times[-1] - start) // length) + 1
    if count > 1 and (times[-1] - start) % length < MIN_LAST_SHARE * length:
        count -= 1
        left = int((times >= start + count * length).sum())
        notes.append(f"The last {left:,} rows make less than half a window and are left out.")
    bounds = start + np.arange(count + 1) * length
    return _spans(bounds), np.searchsorted(times, bounds)


def _named(table: pd.DataFrame, times: Times, plan: Plan) -> tuple[tuple[Window, ...], Ints]:
    column = table[plan.window_column].astype(str).to_numpy()
    edges = np.concatenate([[0], np.flatnonzero(column[1:] != column[:-1]) + 1, [len(column)]])
    names = column[edges[:-1]]
    if len(set(names)) < len(names):
        again = next(name for name, times_seen in Counter(names.tolist()).items() if times_seen > 1)
        raise HistoryInvalid(
            f"Rows of window {again!r} do not stand together in {plan.window_column!r}; sort the table by it."
        )
    length = np.timedelta64(round(plan.window_days * 86_400), "s")
    if len(times):
        starts = times[edges[:-1]].astype("datetime64[s]").astype("datetime64[us]")
        if (meet := np.flatnonzero(starts[1:] <= times[edges[1:-1] - 1])).size:
            place = int(meet[0])
            raise HistoryInvalid(
                f"Windows {names[place]!r} and {names[place + 1]!r} overlap in time: the second begins at"
                f" {_shown(starts[place + 1])}, when the first is not over."
            )
        usual = np.median(np.diff(starts)).astype("timedelta64[us]") if len(starts) > 1 else length
        usual = usual.astype("timedelta64[s]").astype("timedelta64[us]")
        bounds = np.concatenate([starts, [max(starts[-1] + usual, times[-1].astype("datetime64[s]") + _SECOND)]])
    else:
        bounds = np.datetime64("2000-01-01", "us") + np.arange(len(names) + 1) * length
    return _spans(bounds), np.asarray(edges, dtype=np.int64)


def _spans(bounds: Times) -> tuple[Window, ...]:
    moments = [moment.astype("datetime64[us]").item().replace(tzinfo=UTC) for moment in bounds]
    return tuple(Window(low, high) for low, high in pairwise(moments))


def _placed(table: pd.DataFrame, times: Times, spans: tuple[Window, ...], edges: Ints) -> Times:
    """Times for rows that have none: spread evenly over their window."""
    spread = np.empty(len(table), dtype="datetime64[us]")
    for span, low, high in zip(spans, edges[:-1], edges[1:], strict=True):
        step = (span.end - span.start) / max(high - low, 1)
        start = np.datetime64(span.start.replace(tzinfo=None), "us")
        spread[low:high] = start + np.arange(high - low) * np.timedelta64(step // timedelta(microseconds=1), "us")
    return spread


def _check_outcomes(outcome: NDArray[np.object_], edges: Ints, plan: Plan, target: str) -> None:
    empty = [number + 1 for number in range(plan.first) if not (outcome[edges[number] : edges[number + 1]] != "").any()]
    if empty:
        raise HistoryInvalid(
            f"{target!r} is blank in all rows of window {empty[0]}: the outcome was not recorded yet. Begin the history"
            " later."
        )


def _acted(table: pd.DataFrame, contract: Contract, column: str, notes: list[str]) -> NDArray[np.bool_]:
    """bool[rows]: something was done about the row, so that its outcome does not say what would have become of it.

    Raises HistoryInvalid where a model would learn from the column.
    """
    if column in {feature.name for feature in contract.features}:
        raise HistoryInvalid(
            f"{column!r} is a feature of the contract, and says what was done about a row afterwards; take it out of"
            " the contract."
        )
    acted = ~_blank(table[column])
    if (share := float(acted.mean())) == 1:
        raise HistoryInvalid(
            f"{column!r} is filled in every row, so no outcome is left to learn from. Leave it blank where nothing was"
            " done."
        )
    notes.append(
        f"{int(acted.sum()):,} rows ({share:.0%}) were acted on by {column!r}: their outcomes happened under the"
        " action, so they are predicted, and neither teach nor judge."
    )
    return acted


def _blank(column: "pd.Series[Any]") -> NDArray[np.bool_]:
    """bool[rows]: missing, or nothing but spaces."""
    return np.asarray(column.isna() | (column.astype(str).str.strip() == ""), dtype=np.bool_)


def _known(table: pd.DataFrame, times: Times, labelled: NDArray[np.bool_], plan: Plan) -> Times:
    if plan.label_time is None:
        known = times + np.timedelta64(round(plan.label_delay_days * 86_400), "s")
    else:
        column = table[plan.label_time]
        blank = _blank(column)
        known = np.full(len(table), np.datetime64("NaT", "us"))
        known[~blank] = _moments(column[~blank], f"label time column {plan.label_time!r}")
        early = ~np.isnat(known) & (known < times)
        if early.any():
            place = int(np.flatnonzero(early)[0])
            many = "outcome is" if early.sum() == 1 else "outcomes are"
            raise HistoryInvalid(
                f"{int(early.sum()):,} {many} known before the row, the first in row {place + 1}"
                f" ({_shown(known[place])} before {_shown(times[place])}). Is {plan.label_time!r} when the outcome"
                " became known?"
            )
    known[~labelled] = np.datetime64("NaT", "us")
    return known


def _check_identities(table: pd.DataFrame, times: Times, contract: Contract) -> None:
    if contract.id_column is None or contract.id_column not in table.columns:
        return
    twice = pd.DataFrame({"id": table[contract.id_column].astype(str), "time": times}).duplicated(keep=False).to_numpy()
    if twice.any():
        place = int(np.flatnonzero(twice)[0])
        raise HistoryInvalid(
            f"{int(twice.sum()):,} rows share {contract.id_column!r} and time with another, the first row {place + 1}"
            f" ({str(table[contract.id_column].iloc[place])[:40]!r}). Keep one of each."
        )


def _drafted(first: pd.DataFrame, wanted: FirstDraft, plan: Plan) -> Contract:
    left_out = {plan.label_time, plan.window_column, plan.action_column} - {wanted.time_column}
    labelled = first[~_blank(first[wanted.target])]
    columns = {
        str(name): ["" if pd.isna(value) else str(value) for value in labelled[name]]
        for name in labelled.columns
        if name not in left_out
    }
    raw, _ = draft(
        columns,
        target=wanted.target,
        positive=wanted.positive,
        id_column=wanted.id_column,
        time_column=wanted.time_column,
        name="rehearsal",
    )
    drafted = read_contract(raw)
    final = _final_after(first, wanted, plan)
    return replace(drafted, monitoring=replace(drafted.monitoring, label_maturity_days=final))


def _final_after(first: pd.DataFrame, wanted: FirstDraft, plan: Plan) -> float:
    """Days after which labels are final, as somebody knows who has seen the first windows: the delay that the rehearsal
    is told, or the one within which ``MOST`` of their outcomes were known.
    """
    if plan.label_time is None or wanted.time_column is None:
        return plan.label_delay_days
    known = first[~_blank(first[plan.label_time])]
    if not len(known):
        return plan.label_delay_days
    heard = _moments(known[plan.label_time], f"label time column {plan.label_time!r}")
    return _most_within(heard - _moments(known[wanted.time_column], f"time column {wanted.time_column!r}"))


def _patience(contract: Contract, times: Times, known: Times, first: int) -> list[str]:
    """A word where the contract waits longer for labels than they take; ``first`` rows are those of the first
    windows.
    """
    heard = known[:first][~np.isnat(known[:first])]
    waits = contract.label_maturity_days
    if not len(heard) or contract.labels.horizon_days is not None:
        return []
    took = _most_within(heard - times[:first][~np.isnat(known[:first])])
    if took >= waits:
        return []
    return [
        f"Labels come after {in_days(took)} and count as final after {in_days(waits)} by the contract"
        " (labels.maturity_days): until then they neither judge nor teach."
    ]


def _most_within(delays: NDArray[np.timedelta64]) -> float:
    """Whole days, or the hours of a delay under a day, within which ``MOST`` of them lie."""
    days = float(np.quantile(delays / _DAY, MOST))
    return float(np.ceil(days)) if days > 1 else round(days, 4)

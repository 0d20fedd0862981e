"""A rehearsal at the terminal: policies side by side with sparklines, what was decided, and whether alarms were worth
it.
"""

from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from stillgood.simulation.rehearsal.figures import METRICS

_BARS = "▁▂▃▄▅▆▇█"
_NAMES = {
    "roc_auc": "ROC-AUC",
    "recall": "recall",
    "precision": "precision",
    "flagged_share": "flagged",
    "brier": "Brier",
    "value": "value",
}
_COUNTS = (
    ("promotions", "promoted"),
    ("retrains", "retrained"),
    ("alerts", "alerts"),
    ("days_under_floor", "days under floor"),
    ("refused", "rows refused"),
)
_DECISIONS, _SIGNALS = 12, 8  # shown of each; --json holds them all
_REASON_WIDTH = 110  # characters of a decision's reason


def sparkline(values: Sequence[float | None], low: float | None = None, high: float | None = None) -> str:
    """One character a value, higher for more; a gap for None. ``low`` and ``high`` set the scale, so that lines can be
    compared.

    >>> sparkline([0.0, 0.5, None, 1.0])
    '▁▅ █'
    """
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, high = min(known) if low is None else low, max(known) if high is None else high
    span = high - low
    return "".join(" " if value is None else _BARS[_level(value - low, span)] for value in values)


def _level(above: float, span: float) -> int:
    return 3 if span <= 0 else min(int(above / span * len(_BARS)), len(_BARS) - 1)


def lines(document: Mapping[str, Any]) -> list[str]:
    """The whole document, in lines of text."""
    history = document["history"]
    body = [
        (
            f"{history['rows']:,} rows, {history['windows']} windows from {history['start'][:10]} to"
            f" {history['end'][:10]}; the first model learnt from the {history['first_rows']:,} rows before"
        ),
        *(f"  note: {note}" for note in history["notes"]),
    ]
    played = document["policies"]
    if any(event["result"] != "promoted" for event in next(iter(played.values()))["first_model"]):
        refused = next(iter(played.values()))["first_model"][0]
        body.append("  note: the gate would have refused the first model: " + " ".join(refused["reasons"]))
    body += [
        "",
        *_table(played),
        "",
        *differences_said(document),
        "",
        *_decided(played),
        "",
        *_alarms(document["alarms"]),
    ]
    return [*body, "", *_tuned(document["tuning"])] if "tuning" in document else body


def _table(played: Mapping[str, Mapping[str, Any]]) -> list[str]:
    aucs = {name: [row["roc_auc"] for row in result["windows"]] for name, result in played.items()}
    known = [value for values in aucs.values() for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    metrics = [name for name in METRICS if any(result[name] is not None for result in played.values())]
    head = ["", *(_NAMES[name] for name in metrics), *(label for _, label in _COUNTS), "ROC-AUC by window"]
    body = [
        [
            name,
            *(_figure(metric, result[metric]) for metric in metrics),
            *(f"{result[key]:,.0f}" for key, _ in _COUNTS),
            sparkline(aucs[name], low, high),
        ]
        for name, result in played.items()
    ]
    widths = [max(len(row[place]) for row in [head, *body]) for place in range(len(head))]
    rows = []
    for row in [head, *body]:
        cells = [
            cell.ljust(width) if place in (0, len(head) - 1) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        rows.append(("  " + "  ".join(cells)).rstrip())
    return rows


def _figure(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if metric == "value" else f"{value:.3f}"


def differences_said(document: Mapping[str, Any]) -> list[str]:
    """Differences in ROC-AUC that the data show, and those that they do not."""
    sentences = []
    for difference in document["differences"]:
        if difference["metric"] != "roc_auc":
            continue
        better, worse, low, high = difference["a"], difference["b"], difference["low"], difference["high"]
        if difference["difference"] < 0:
            better, worse = worse, better
            low, high = (None, None) if low is None else (-high, -low)
        gap = f"{abs(difference['difference']):.4f} ROC-AUC"
        if low is None:
            sentences.append(
                f"  {better} is {gap} above {worse}; {difference['windows']} windows are too few to say more"
            )
        elif difference["shown"]:
            sentences.append(f"  {better} is better than {worse} by {gap} ({low:.4f} to {high:.4f})")
        else:
            sentences.append(f"  {better} and {worse} cannot be told apart: {gap} ({low:+.4f} to {high:+.4f})")
    return ["What the windows say (paired over windows, 95%)", *(sentences or ["  nothing: one policy was played"])]


def _decided(played: Mapping[str, Mapping[str, Any]]) -> list[str]:
    name = "guarded" if "guarded" in played else list(played)[-1]
    made = [(row["start"][:10], decision) for row in played[name]["windows"] for decision in row["decisions"]]
    sentences = [f"What {name} decided"]
    for day, decision in made[-_DECISIONS:]:
        reason = decision["reasons"][0] if decision["reasons"] else ""
        reason = shorten(reason, _REASON_WIDTH, placeholder=" ...")
        sentences.append(f"  {day}  {decision['step']}: {decision['result']}. {reason}")
    if not made:
        sentences.append("  nothing had to be decided")
    elif len(made) > _DECISIONS:
        sentences.insert(1, f"  the last {_DECISIONS} of {len(made)}; --json holds them all")
    return sentences


def _before(windows: float) -> str:
    """
    >>> _before(0.0), _before(1.5)
    (', in the window itself', ', 1.5 windows before')
    """
    return f", {windows:.1f} windows before" if windows else ", in the window itself"


def _alarms(alarms: Mapping[str, Any]) -> list[str]:
    """Signals with what followed them; the base rate beside them, since a signal that is always on announces
    everything.
    """
    signals = alarms["signals"]
    total = next(signal for signal in signals if signal["signal"] == "any")
    sentences = [
        f"Were the alarms worth it? (policy {alarms['policy']}: {total['losses']} windows with a demonstrable loss of"
        " ROC-AUC)"
    ]
    for signal in [row for row in signals if row["signal"] != "any"][:_SIGNALS]:
        paid = f"{signal['paid']} of {signal['alarms']} followed by a loss within {alarms['horizon_windows']} windows"
        before = "" if signal["windows_before"] is None else _before(signal["windows_before"])
        sentences.append(
            f"  {signal['signal']}: {paid}; announced {signal['announced']} of {signal['losses']} losses{before}"
        )
    if total["base_rate"] is not None:
        sentences.append(
            f"  without looking at anything: {total['base_rate']:.0%} of all windows are followed by a loss"
        )
    if never := [signal["signal"] for signal in signals if signal["never_paid"] and signal["signal"] != "any"]:
        sentences.append(f"  never paid: {', '.join(never)}. {SILENCE}")
    if len(signals) == 1:
        sentences.append("  there were none")
    return sentences


def _tuned(tuning: Mapping[str, Any]) -> list[str]:
    sentences = [
        "Settings, compared on the first two thirds of the windows and shown on the last third",
        f"  {tuning['why']}",
    ]
    for row in tuning["grid"]:
        first, last = ("-" if row[key] is None else f"{row[key]:.4f}" for key in ("choosing", "looking"))
        gain = ""
        if row["low"] is not None and row["setting"] != tuning["grid"][0]["setting"]:
            gain = f": {row['gain']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f}) on the first"
        sentences.append(f"  {first} then {last}  {row['setting']}{gain}")
    return sentences + [f"  change {change['place']}: {change['what']}" for change in tuning["changes"]]


SILENCE = (
    "A feature is not watched if it is not in the contract; guarded already retrains for what drift does, not for"
    " drift."
)

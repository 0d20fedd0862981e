"""at: which version served at a moment, and by which decision."""

import argparse
from datetime import UTC, datetime

from stillgood.cli.console import LOOK, Answer, WrongCall, estimate, paragraph
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(commands, "at", run, help=about, examples=["at 2026-05-03T10:00 --bucket my-models"])
    parser.add_argument("time", help="ISO 8601; UTC unless it has an offset")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.domain.policy.summary import made
    from stillgood.storage.artifacts import dates_of
    from stillgood.storage.registry import Registry
    from stillgood.storage.windows import iso, read_report, reports, utc

    try:
        moment = datetime.fromisoformat(arguments.time)
    except ValueError as error:
        raise WrongCall(f"{arguments.time!r} is not a time such as 2026-05-03T10:00.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    place = find_place(arguments)
    last = None
    for decision in Registry(place.store).decisions():
        if utc(decision.at) > moment:
            break
        if decision.pointer_after is not None:
            last = decision
    if last is None or last.pointer_after is None:
        return Answer(f"nothing served at {moment.isoformat()}", {"at": moment.isoformat(), "serving": None}, LOOK)
    pointer = last.pointer_after
    lines = [
        f"{pointer.version} served at {moment.isoformat()}: generation {pointer.generation}, since"
        f" {pointer.promoted_at}"
    ]
    lines.append(f"  decision {last.n}")
    if dates := made(dates_of(place.store, pointer.version)):
        lines.append(f"  {dates}")
    for reason in last.reasons:
        lines += paragraph(reason, first="- ")
    lines.append(
        f"  promised: ROC-AUC {estimate(pointer.metrics.get('roc_auc'))}, recall"
        f" {estimate(pointer.metrics.get('recall'))}"
    )
    window = next((span for span in reports(place.store) if span.start <= moment < span.end), None)
    report = None if window is None else read_report(place.store, window)
    metrics = ((report or {}).get("realised_performance") or {}).get("metrics")
    if window is not None and metrics:
        lines.append(
            f"  realised, known when the window to {iso(window.end)} was judged: ROC-AUC"
            f" {estimate(metrics.get('roc_auc'))}, recall {estimate(metrics.get('recall'))}"
        )
    else:
        lines.append("  realised: not known, no window of that time was judged with labels")
    answer = {"at": moment.isoformat(), "serving": pointer.to_dict(), "decision": last.to_dict(), "realised": metrics}
    return Answer("\n".join(lines), answer)

"""report: one window's report as text, or every page in a folder."""

import argparse
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stillgood.cli.console import Answer, WrongCall, estimate, paragraph, progress, table
from stillgood.cli.main import add_verb
from stillgood.cli.place import Place, add_place, find_place
from stillgood.domain.policy.wording import came_late, delivered_late, done, finding, labelled_late, minute
from stillgood.storage.keys import INDEX_PAGE, PAGES_PREFIX

_LISTED = 3  # of reasons, features and tests; the page and --json have all
_WIDTH = 100  # of a line


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "report",
        run,
        help=about,
        examples=[
            "report --store ./customers.stillgood",
            "report --pages ./pages --open --store ./customers.stillgood",
            "report --window 20261123T000000Z_20261124T000000Z --bucket my-models",
        ],
    )
    parser.add_argument("--window", metavar="ID", help="the newest by default")
    parser.add_argument(
        "--version", metavar="N", type=int, help="of a window that was judged again; the newest by default"
    )
    parser.add_argument("--pages", metavar="DIR", type=Path, help="write every page into a folder, index.html first")
    parser.add_argument("--open", action="store_true", help="open the overview in the browser")
    parser.add_argument("--text", action="store_true", help="as text, which is the default")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.windows import Window, read_versions, reports

    place = find_place(arguments)
    if arguments.pages is not None or arguments.open:
        return _pages(place, arguments.pages or Path(tempfile.mkdtemp(prefix="stillgood-pages-")), arguments.open)
    if arguments.window is not None:
        window = Window.from_id(arguments.window)
    else:
        windows = list(reports(place.store))
        if not windows:
            raise WrongCall("No window was judged yet; `stillgood monitor` judges the one that ends now.")
        window = windows[-1]
    versions = read_versions(place.store, window)
    if not versions:
        raise WrongCall(f"Window {window.id} was not judged; `stillgood status` lists the newest.")
    number = len(versions) if arguments.version is None else arguments.version
    if not 1 <= number <= len(versions):
        raise WrongCall(f"Window {window.id} has versions 1 to {len(versions)} of its report, not {number}.")
    report = versions[number - 1]
    return Answer("\n".join(lines(report)), report)


def _pages(place: Place, folder: Path, show: bool) -> Answer:
    """Every page of a place, made anew from its documents."""
    from stillgood.pages.writer import write_all, write_out
    from stillgood.storage.memory import MemoryObjectStore

    made = MemoryObjectStore()
    with progress("writing pages"):
        written = write_all(place.store, made)
    write_out(made, folder)
    index = folder / INDEX_PAGE.removeprefix(PAGES_PREFIX)
    if show:
        webbrowser.open(index.resolve().as_uri())
    return Answer(f"{len(written)} pages and the overview: {index}", {"index": str(index), "pages": len(written)})


def lines(report: Mapping[str, Any]) -> list[str]:
    """A report in at most twenty lines, what matters first; what is longer ends in an ellipsis, and is on the page."""
    span, decision = report["window"], report["decision"]
    text = [f"{span['start']} to {span['end']}: {decision['action']}"]
    if note := report.get("again"):
        text[0] += f", judged again {minute(note['at'])}"
    text += _cut(f"found: {finding(report)}", lines=2) + _cut(f"done: {done(report)}")
    text += _some(decision["reasons"], "- ", 3)
    text.append(
        f"  champion {report['champion']['version']}, {report['rows']} predictions, {report['contract']['refused']}"
        " refused rows" + _late(report)
    )
    if violations := report["contract"]["violations"]:
        text += _cut("; ".join(f"{v['rows']} rows: {v['field']}: {v['rule']}" for v in violations), first="refused: ")
    realised, expected = report.get("realised_performance"), report.get("estimated_performance")
    if realised:
        metrics = realised["metrics"]
        text.append(
            f"  realised  ROC-AUC {estimate(metrics['roc_auc'])}, recall {estimate(metrics['recall'])},"
            f" {metrics['rows']} labelled rows"
        )
    if expected:
        known = ", ".join(
            f"{name} {expected[key]:.3f}"
            for name, key in (("ROC-AUC", "roc_auc"), ("recall", "recall"), ("precision", "precision"))
            if isinstance(expected.get(key), float)
        )
        text.append(f"  estimated without labels  {known}")
    if (point := report.get("operating_point")) is not None:
        text += _cut(point["sentence"], first="point  ")
        text += _some(point["reasons"], f"{point['action']}: ", 1)
    text += _what_moved(report)
    drift = report.get("drift") or {}
    checks = sorted(drift.get("checks", ()), key=lambda check: (not check["drifted"], -check["effect"]))[:_LISTED]
    if checks:
        text += table(
            [
                [
                    check["subject"],
                    check["test"],
                    f"{check['effect']:.3f}",
                    f"{check['p_adjusted']:.2g}",
                    check.get("direction", "") if check["drifted"] else "",
                ]
                for check in checks
            ],
            head=["feature", "test", "effect", "adjusted p", _more("drifted", len(drift["checks"]), _LISTED)],
        )
    return text + _some(decision.get("would_change") or (), "> would change it: ", 2)


def _late(report: Mapping[str, Any]) -> str:
    parts = (
        (came_late(report), "captures"),
        (delivered_late(report), "rows by Firehose"),
        (labelled_late(report), "labels"),
    )
    said = ", ".join(f"{count} {what}" for count, what in parts if count)
    return f"; late, of windows before: {said}" if said else ""


def _cut(text: str, *, first: str = "", lines: int = 1) -> list[str]:
    """``text`` in at most so many lines."""
    whole = paragraph(text, first=first)
    if len(whole) > lines:
        whole = [*whole[: lines - 1], f"{whole[lines - 1][: _WIDTH - 1].rstrip(' ,;')}…"]
    return whole


def _some(texts: Sequence[object], first: str, count: int) -> list[str]:
    """The first of ``texts``, a line each; the last one says how many more there are."""
    shown = [str(text) for text in texts[:count]]
    if len(texts) > count:
        shown[-1] = f"(and {len(texts) - count} more) {shown[-1]}"
    return [line for text in shown for line in _cut(text, first=first)]


def _more(what: str, count: int, shown: int) -> str:
    return f"{what} ({shown} of {count} tests)" if count > shown else what


def of_point(point: Mapping[str, Any]) -> list[str]:
    """Objective, estimate and truth side by side, and what became of the operating point, with the reasons."""
    text = paragraph(point["sentence"], first="point  ")
    for reason in point["reasons"]:
        text += paragraph(str(reason), first=f"{point['action']}: ", indent=4)
    return text


def _what_moved(report: Mapping[str, Any]) -> list[str]:
    moved = report.get("contributions")
    if not moved:
        return []
    parts = ", ".join(f"{part['name']} {part['change']['value']:+.3f}" for part in moved["parts"][:_LISTED])
    total = moved["total"]["change"]
    return _cut(
        f"all together {total['value']:+.3f} [{total['low']:+.3f}, {total['high']:+.3f}]; most by {parts}",
        first="mean score moved (logits): ",
    )

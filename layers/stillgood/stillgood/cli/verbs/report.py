"""report: one window's report as text, or every page in a folder."""

import argparse
import tempfile
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stillgood.cli.console import Answer, WrongCall, estimate, paragraph, progress, table
from stillgood.cli.main import add_verb
from stillgood.cli.place import Place, add_place, find_place
from stillgood.domain.policy.wording import done, finding
from stillgood.storage.keys import INDEX_PAGE, PAGES_PREFIX

_LISTED = 3  # of reasons, features and tests; the page and --json have all


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
    parser.add_argument("--pages", metavar="DIR", type=Path, help="write every page into a folder, index.html first")
    parser.add_argument("--open", action="store_true", help="open the overview in the browser")
    parser.add_argument("--text", action="store_true", help="as text, which is the default")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.windows import Window, read_report, reports

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
    report = read_report(place.store, window)
    if report is None:
        raise WrongCall(f"Window {window.id} was not judged; `stillgood status` lists the newest.")
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
    """A report in some twenty lines, what matters first."""
    span, decision = report["window"], report["decision"]
    text = [f"{span['start']} to {span['end']}: {decision['action']}"]
    text += paragraph(f"found: {finding(report)}") + paragraph(f"done: {done(report)}")
    for reason in decision["reasons"][:_LISTED]:
        text += paragraph(str(reason), first="- ")
    text += _more(len(decision["reasons"]), "reasons")
    text.append(
        f"  champion {report['champion']['version']}, {report['rows']} predictions, {report['contract']['refused']}"
        " refused rows"
    )
    for violation in report["contract"]["violations"][:5]:
        text.append(f"    {violation['rows']} rows: {violation['field']}: {violation['rule']}")
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
        text += of_point(point)
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
            head=["feature", "test", "effect", "adjusted p", "drifted"],
        ) + _more(len(drift["checks"]), "tests")
    for change in decision.get("would_change", []):
        text += paragraph(f"would change it: {change}", first="> ")
    return text


def _more(count: int, what: str) -> list[str]:
    return (
        [f"  and {count - _LISTED} more {what}: `stillgood report --pages DIR`, or --json"] if count > _LISTED else []
    )


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
    checks = (report.get("drift") or {}).get("checks", ())
    effects = {check["subject"]: check["effect"] for check in checks if check["test"] in ("ks", "chi_square")}
    parts = [*moved["parts"][:_LISTED], moved["total"]]
    rows = [
        [
            "all together" if part is moved["total"] else part["name"],
            f"{part['change']['value']:+.3f} [{part['change']['low']:+.3f}, {part['change']['high']:+.3f}]",
            f"{effects[part['name']]:.3f}" if part["name"] in effects else "",
        ]
        for part in parts
    ]
    return table(rows, head=["moved the mean score by (logits)", "", "KS or chi-square effect"])

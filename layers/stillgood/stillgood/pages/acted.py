"""The page of the action: what a campaign on flagged customers is worth, as monitor or ``stillgood value`` says."""

from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from stillgood.pages.layout import Node, cards, page, share, state, table

_TITLES = {
    "by_month": "By month",
    "by_score": "By score",
    "by_slice": "By slice",
    "by_action": "By what was done (not drawn by lot)",
}


def action_page(report: Mapping[str, Any]) -> bytes:
    """``report``: of ``steps.value.value``, or of ``steps.monitor.worth.worth``, which has no slices and no actions."""
    effect = report["all"]
    if effect is None:
        return page("What the action is worth", state(report["sentence"], "look"), crumbs=[("Overview", "index.html")])
    level = {"works": "well", "harms": "act"}.get(str(effect["verdict"]), "look")
    money = report["money"]
    figures: list[tuple[str, Node]] = [
        ("of those left alone", share(effect["control_rate"])),
        ("of those acted on", share(effect["treated_rate"])),
        ("prevented in a hundred", _interval(effect)),
        ("left alone, acted on", f"{effect['control']:,} and {effect['treated']:,}"),
    ]
    if money is not None:
        figures += [
            ("kept a month", f"{money['kept']:,.0f}"),
            ("worth a month", f"{money['brings']:,.0f}"),
            ("what it costs to know, a month", f"{money['control']:,.0f}"),
        ]
    return page(
        "What the action is worth",
        state(report["sentence"], level),
        cards(figures),
        [_parts(title, report[name]) for name, title in _TITLES.items() if report.get(name)],
        h.h2["How long until it is known to within two points"],
        table(
            ["share left alone", "months"],
            [[f"{float(left_alone):.0%}", f"{n:g}"] for left_alone, n in report["plan"].items()],
        ),
        None if "by_slice" in report else _more(),
        crumbs=[("Overview", "index.html")],
    )


def _more() -> Node:
    more = "By the predictions that monitor judges, of a year at most. By slice, by what was done, and of two years: "
    return h.p[more, h.code["stillgood report --pages"], "."]


def _parts(title: str, parts: Sequence[Mapping[str, Any]]) -> Node:
    rows = [
        [part["name"], str(part["control"]), str(part["treated"]), _interval(part), str(part["verdict"])]
        for part in parts
    ]
    return [h.h2[title], table(["", "left alone", "acted on", "prevented in a hundred", ""], rows)]


def _interval(effect: Mapping[str, Any]) -> str:
    value, low, high = (100 * float(effect["prevented"][name]) for name in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"

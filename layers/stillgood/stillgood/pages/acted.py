"""The page of the action: what a campaign on flagged customers is worth, from what ``steps/value.py`` says."""

from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from stillgood.pages.layout import Node, cards, page, share, state, table

_TITLES = {"by_month": "By month", "by_score": "By score", "by_action": "By what was done (not drawn by lot)"}


def action_page(told: Mapping[str, Any]) -> bytes:
    """``told``: of ``steps.value.value``."""
    found = told["all"]
    if found is None:
        return page("What the action is worth", state(told["sentence"], "look"), crumbs=[("Overview", "index.html")])
    level = {"works": "well", "harms": "act"}.get(str(found["verdict"]), "look")
    money = told["money"]
    figures: list[tuple[str, Node]] = [
        ("of those left alone", share(found["control_rate"])),
        ("of those acted on", share(found["treated_rate"])),
        ("prevented in a hundred", _interval(found)),
        ("left alone, acted on", f"{found['control']:,} and {found['treated']:,}"),
    ]
    if money is not None:
        figures += [
            ("kept a month", f"{money['kept']:,.0f}"),
            ("worth a month", f"{money['brings']:,.0f}"),
            ("what it costs to know, a month", f"{money['control']:,.0f}"),
        ]
    return page(
        "What the action is worth",
        state(told["sentence"], level),
        cards(figures),
        [_parts(title, told[name]) for name, title in _TITLES.items() if told[name]],
        h.h2["How long until it is known to within two points"],
        table(["share left alone", "months"], [[f"{float(one):.0%}", f"{n:g}"] for one, n in told["plan"].items()]),
        crumbs=[("Overview", "index.html")],
    )


def _parts(title: str, parts: Sequence[Mapping[str, Any]]) -> Node:
    rows = [
        [one["name"], str(one["control"]), str(one["treated"]), _interval(one), str(one["verdict"])] for one in parts
    ]
    return [h.h2[title], table(["", "left alone", "acted on", "prevented in a hundred", ""], rows)]


def _interval(one: Mapping[str, Any]) -> str:
    value, low, high = (100 * float(one["prevented"][name]) for name in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"

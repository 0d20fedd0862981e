"""value: what the action on flagged customers is worth, by those who were left alone."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stillgood.cli.console import Answer, WrongCall, paragraph, table
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "value",
        run,
        help=about,
        examples=["value --store ./customers.stillgood", "value --bucket my-models --json"],
    )
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.steps.value import value
    from stillgood.storage.champion import load_model
    from stillgood.storage.registry import Registry

    place = find_place(arguments)
    pointer = Registry(place.store).pointer()
    if pointer is None:
        raise WrongCall("Nothing serves yet, so nobody was flagged; `stillgood status` says what is missing.")
    data = value(place.store, load_model(place.store, pointer).contract, datetime.now(UTC), slices=True)
    return Answer("\n".join(lines(data)), data)


def lines(data: Mapping[str, Any]) -> list[str]:
    """The sentence first, then tables of parts, what it costs to know, and how long until it is known better."""
    text = paragraph(data["sentence"])
    if data["all"] is None:
        return text
    for title, name in (
        ("by month", "by_month"),
        ("by score", "by_score"),
        ("by slice", "by_slice"),
        ("by action (not drawn)", "by_action"),
    ):
        if data.get(name):
            text += ["", *_parts(title, data[name])]
    if (costs := data["money"]) is not None:
        text += ["", f"a month: kept {costs['kept']:,.0f}, worth {costs['brings']:,.0f}"]
        text.append(f"the control group costs {costs['control']:,.0f} a month")
    text += ["", "months until the effect is known to within 2 points, by control_share"]
    text += [f"  {share}: {months:g}" for share, months in data["plan"].items()]
    return text


def _parts(title: str, parts: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            part["name"],
            str(part["control"]),
            str(part["treated"]),
            f"{100 * part['prevented']['value']:+.1f} [{100 * part['prevented']['low']:+.1f},"
            f" {100 * part['prevented']['high']:+.1f}]",
            part["verdict"],
        ]
        for part in parts
    ]
    return table(rows, head=[title, "left alone", "acted on", "prevented in a hundred", ""])

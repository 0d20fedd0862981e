"""rollback: go back to an earlier champion, wait until the API serves it, and say what served before and serves now."""

import argparse
from typing import TYPE_CHECKING

from stillgood.cli.console import LOOK, WELL, Answer, paragraph
from stillgood.cli.main import add_verb
from stillgood.cli.person import add_person, request
from stillgood.cli.place import add_place, find_place
from stillgood.cli.served import add_wait, wait_until_served
from stillgood.cli.verbs.train import verdict

if TYPE_CHECKING:
    from stillgood.domain.promotion.decision import Pointer


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "rollback",
        run,
        help=about,
        examples=[
            "rollback --because 'complaints from the call centre' --store ./customers.stillgood",
            "rollback --to 20261001-1a2b3c4d --because 'wrong since Monday' --bucket my-models",
        ],
    )
    parser.add_argument(
        "--to", metavar="VERSION", help="a version that served before; the champion before this one by default"
    )
    parser.add_argument("--force", action="store_true", help="also to a version that a person rejected")
    add_person(parser)
    add_wait(parser)
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.registry import Registry

    place = find_place(arguments)
    registry = Registry(place.store)
    before = registry.pointer()
    event = {"action": "rollback", "to": arguments.to, "force": arguments.force, **request(arguments)}
    (decision,) = place.steps.run("promote", event)
    after = registry.pointer()
    lines = verdict(decision)
    lines.append(f"  before  {_served(before)}")
    lines.append(f"  now     {_served(after)}")
    served = None
    if after is not None and decision["result"] == "rolled back":
        served = wait_until_served(place, after, arguments)
        lines += paragraph(served.says, first="> ")
        lines += paragraph(
            f"automatic promotions wait for `{' '.join(['stillgood release --because ...', place.option]).strip()}`",
            first="> ",
        )
    data = {
        **decision,
        "before": before.to_dict() if before else None,
        "serving": after.to_dict() if after else None,
        "served": served.ok if served else None,
    }
    well = decision["result"] == "rolled back" and served is not None and served.ok
    return Answer("\n".join(lines), data, WELL if well else LOOK)


def _served(pointer: "Pointer | None") -> str:
    if pointer is None:
        return "nothing serves"
    point = "" if pointer.point is None else f", operating point {pointer.point.id}"
    return f"{pointer.version}, generation {pointer.generation}, since {pointer.promoted_at}{point}"

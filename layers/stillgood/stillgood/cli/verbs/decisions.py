"""decisions: the newest decisions, why, in words."""

import argparse

from stillgood.cli.console import Answer, paragraph
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

_DONE = {
    "promote": "promoted",
    "refuse": "refused",
    "rollback": "rolled back to",
    "release": "released",
    "move": "moved the point of",
    "ask": "asked a person about",
    "mode": "mode set",
    "settings": "settings in force",
}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "decisions",
        run,
        help=about,
        examples=["decisions --store ./customers.stillgood", "decisions 3 --bucket my-models --json"],
    )
    parser.add_argument("count", nargs="?", type=int, default=10, metavar="N", help="how many, the newest (10)")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.registry import Registry

    place = find_place(arguments)
    newest = list(Registry(place.store).decisions())[-max(arguments.count, 0) :][::-1] if arguments.count > 0 else []
    lines: list[str] = []
    for decision in newest:
        done = _DONE.get(decision.action, decision.action)
        who = f", by {decision.figures['by']}" if decision.figures.get("by") else ""
        lines.append(f"{decision.n}  {decision.at}  {done} {decision.candidate or ''}".rstrip() + who)
        for reason in decision.reasons:
            lines += paragraph(reason, first="- ", indent=4)
        for change in decision.figures.get("would_change", []):
            lines += paragraph(f"would change it: {change}", first="> ", indent=4)
    if not newest:
        lines.append("nothing was decided yet")
    return Answer("\n".join(lines), {"decisions": [decision.to_dict() for decision in newest]})

"""rollback: go back to an earlier champion, and say what serves now."""

import argparse

from stillgood.cli.console import LOOK, Answer
from stillgood.cli.main import add_verb
from stillgood.cli.person import add_person, request
from stillgood.cli.place import add_place, find_place
from stillgood.cli.verbs.train import verdict


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
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.registry import Registry

    place = find_place(arguments)
    event = {"action": "rollback", "to": arguments.to, "force": arguments.force, **request(arguments)}
    (decision,) = place.steps.run("promote", event)
    serving = Registry(place.store).pointer()
    lines = verdict(decision)
    if serving is not None:
        lines.append(f"  serving now: {serving.version}, generation {serving.generation}, since {serving.promoted_at}")
        lines.append("  predict notices within its time to live (10 s by default)")
    if decision["result"] == "rolled back":
        lines.append(f"  automatic promotions wait for `stillgood release --because ... {place.option}`")
    data = {**decision, "serving": serving.to_dict() if serving else None}
    return Answer("\n".join(lines), data, LOOK if decision["result"] == "refused" else 0)

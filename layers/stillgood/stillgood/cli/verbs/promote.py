"""promote: let the gate judge a published version."""

import argparse

from stillgood.cli.console import LOOK, Answer
from stillgood.cli.main import add_verb
from stillgood.cli.person import add_person, request
from stillgood.cli.place import add_place, find_place
from stillgood.cli.verbs.train import verdict


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "promote",
        run,
        help=about,
        examples=["promote 20261123-1a2b3c4d --store ./customers.stillgood"],
    )
    parser.add_argument("version", help="as `stillgood train` named it")
    parser.add_argument("--force", action="store_true", help="also a version that a person rejected")
    add_person(parser, required=False)
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    place = find_place(arguments)
    event = {"action": "promote", "candidate": arguments.version, "force": arguments.force, **request(arguments)}
    (decision,) = place.steps.run("promote", event)
    return Answer("\n".join(verdict(decision)), decision, LOOK if decision["result"] in ("refused", "asked") else 0)

"""release: let automatic promotions go on after a rollback by hand."""

import argparse

from stillgood.cli.console import LOOK, Answer
from stillgood.cli.main import add_verb
from stillgood.cli.person import add_person, request
from stillgood.cli.place import add_place, find_place
from stillgood.cli.verbs.train import verdict


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "release",
        run,
        help=about,
        examples=["release --because 'the tariff is mended' --store ./customers.stillgood"],
    )
    add_person(parser)
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    (decision,) = find_place(arguments).steps.run("promote", {"action": "release", **request(arguments)})
    return Answer("\n".join(verdict(decision)), decision, LOOK if decision["result"] == "refused" else 0)

"""release: let automatic promotions go on after a rollback by hand."""

import argparse

from stillgood.cli.console import LOOK, Answer
from stillgood.cli.main import add_verb
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
    parser.add_argument("--because", required=True, help="the reason that the log keeps")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from uuid import uuid4

    event = {"action": "release", "request_id": f"by hand {uuid4()}", "reason": arguments.because}
    (decision,) = find_place(arguments).steps.run("promote", event)
    return Answer("\n".join(verdict(decision)), decision, LOOK if decision["result"] == "refused" else 0)

"""mode: what the stack may do by itself, now or from now on."""

import argparse

from stillgood.cli.console import LOOK, WELL, Answer
from stillgood.cli.main import add_verb
from stillgood.cli.person import add_person, request
from stillgood.cli.place import add_place, find_place
from stillgood.cli.verbs.train import verdict


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "mode",
        run,
        help=about,
        examples=[
            "mode --store ./customers.stillgood",
            "mode ask --because 'audit this week' --bucket my-models",
            "mode automatic --because 'audit done' --bucket my-models",
        ],
    )
    parser.add_argument("mode", nargs="?", choices=("watch", "ask", "automatic"), help="none: say which one holds")
    add_person(parser, required=False)
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.cli.console import WrongCall
    from stillgood.storage.registry import Registry

    place = find_place(arguments)
    if arguments.mode is None:
        order = Registry(place.store).orders_now().mode
        if order is None:
            mode = place.steps.settings.mode
            return Answer(f"{mode}: nobody said another; it is what the deployment says", {"mode": mode, "said": None})
        said = order.said
        by = f" by {said.by}" if said.by else ""
        line = f"{order.mode} since {said.since}{by}, decision {said.decision}: {said.because}"
        return Answer(line, {"mode": order.mode, "said": said.to_dict()})
    if arguments.because is None:
        raise WrongCall("Say why, by --because; the log keeps it.")
    (decision,) = place.steps.run("promote", {"action": "mode", "mode": arguments.mode, **request(arguments)})
    return Answer("\n".join(verdict(decision)), decision, LOOK if decision["result"] == "refused" else WELL)

"""approve: put in force what waits for a person."""

import argparse

from stillgood.cli.console import LOOK, WELL, Answer, WrongCall, paragraph
from stillgood.cli.main import add_verb
from stillgood.cli.person import add_person, request
from stillgood.cli.place import Place, add_place, find_place
from stillgood.cli.served import add_wait, wait_until_served
from stillgood.cli.verbs.train import verdict


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    add_answer(commands, "approve", about)


def add_answer(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", verb: str, about: str) -> None:
    """A verb that answers a case."""
    parser = add_verb(
        commands,
        verb,
        run,
        help=about,
        examples=[
            f"{verb} --because 'seen by risk' --store ./customers.stillgood",
            f"{verb} 7 --because 'seen by risk'",
        ],
    )
    parser.add_argument("case", nargs="?", type=int, metavar="N", help="the decision that asks; the one that waits")
    add_person(parser)
    if verb == "approve":
        add_wait(parser)
    add_place(parser)
    parser.set_defaults(verb=verb)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.registry import Registry

    place = find_place(arguments)
    event = {"action": arguments.verb, "case": _case(arguments.case, place), **request(arguments)}
    (decision,) = place.steps.run("promote", event)
    done = decision["reasons"][0].startswith("Case ") if arguments.verb == "refuse" else decision["result"] != "refused"
    lines = verdict(decision)
    serves = Registry(place.store).pointer() if done and arguments.verb == "approve" else None
    if serves is not None:
        served = wait_until_served(place, serves, arguments)
        lines += paragraph(served.says, first="> ")
        done = served.ok
    return Answer("\n".join(lines), decision, WELL if done else LOOK)


def _case(number: int | None, place: Place) -> int:
    """The case that is meant. Raises WrongCall where none or several wait."""
    if number is not None:
        return number
    from stillgood.storage.registry import Registry

    waiting = Registry(place.store).orders_now().waiting
    if len(waiting) != 1:
        names = ", ".join(f"{case.n} ({case.kind} {case.candidate})" for case in waiting) or "none"
        raise WrongCall(f"Name the case that you mean by its number; waiting: {names}.")
    return waiting[0].n

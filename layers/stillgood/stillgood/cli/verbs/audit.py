"""audit: verify the decision log, and decide recorded decisions again."""

import argparse

from stillgood.cli.console import LOOK, Answer
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "audit",
        run,
        help=about,
        examples=["audit --store ./customers.stillgood", "audit --bucket my-models --replay all"],
    )
    parser.add_argument(
        "--replay", metavar="N", type=_replayed, help='decide record N ("all": each) again, and compare every byte'
    )
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.audit import verify

    store = find_place(arguments).store
    problems = verify(store)
    lines = [f"{problem.kind}: {problem.key}: {problem.detail}" for problem in problems]
    lines.append("the decision log is whole" if not problems else f"{len(problems)} problems")
    replayed = []
    if arguments.replay:
        from stillgood.steps.promote.replay import replay

        replayed = list(replay(store, None if arguments.replay == "all" else [int(arguments.replay)]))
        lines += [f"decision {one.n}: {one.detail}" for one in replayed]
        same = sum(one.same for one in replayed)
        lines.append(f"{same} of {len(replayed)} decisions replayed to the same bytes")
    data = {
        "problems": [{"kind": one.kind, "key": one.key, "detail": one.detail} for one in problems],
        "replayed": [
            {"n": one.n, "same": one.same, "detail": one.detail, "forgotten": one.forgotten} for one in replayed
        ],
    }
    return Answer(
        "\n".join(lines), data, LOOK if problems or not all(one.same or one.forgotten for one in replayed) else 0
    )


def _replayed(word: str) -> str:
    if word != "all" and not (word.isascii() and word.isdigit() and int(word) > 0):
        raise argparse.ArgumentTypeError("a decision's number from 1, or all")
    return word

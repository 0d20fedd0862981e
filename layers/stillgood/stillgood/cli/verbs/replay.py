"""replay: look at a judged window again, dry, and say what differs."""

import argparse
from pathlib import Path

from stillgood.cli.console import LOOK, WELL, Answer, paragraph
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "replay",
        run,
        help=about,
        examples=[
            "replay --store ./customers.stillgood",
            "replay --window 20261123T000000Z_20261124T000000Z --policy simple --bucket my-models",
            "replay --contract other.json --bucket my-models",
        ],
    )
    parser.add_argument("--window", metavar="ID", help="as `stillgood report` names it; the newest by default")
    parser.add_argument("--policy", choices=("guarded", "simple"), help="another policy than the stack's")
    parser.add_argument("--model", metavar="VERSION", help="as if this version had served")
    parser.add_argument("--contract", metavar="FILE", type=Path, help="under the settings of this contract")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.cli.console import WrongCall
    from stillgood.cli.verbs.contract import contract_of
    from stillgood.domain.policy.policies import POLICIES
    from stillgood.steps.monitor.again import last_windows, look_again
    from stillgood.storage.windows import Window

    place = find_place(arguments)
    newest = last_windows(place.store, 1)
    if arguments.window is None and not newest:
        raise WrongCall("No window was judged yet; `stillgood monitor` judges the one that ends now.")
    window = Window.from_id(arguments.window) if arguments.window else newest[0]
    contract = contract_of(arguments.contract) if arguments.contract else None
    policy = POLICIES[arguments.policy or place.steps.settings.policy]
    again = look_again(place.store, window, policy, version=arguments.model, contract=contract)
    decision = again.made["decision"]
    lines = [f"window {window.id}, judged again by policy {policy.name}: {decision['action']}; nothing was written"]
    for reason in decision["reasons"]:
        lines += paragraph(str(reason), first="- ")
    lines += ["", "against the stored report"]
    for difference in again.differences or ("nothing differs",):
        lines += paragraph(difference, first="- ")
    if again.differences:
        lines.append("  the stored report stays, and so does what was decided on it")
    data = {"window": window.id, "differences": list(again.differences), "report": dict(again.made)}
    return Answer("\n".join(lines), data, LOOK if again.differences else WELL)

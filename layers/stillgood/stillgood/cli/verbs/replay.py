"""replay: look at a judged window again, and say what differs; dry, or with --again as a new version of its report."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stillgood.cli.console import LOOK, WELL, Answer, WrongCall, paragraph
from stillgood.cli.main import add_verb
from stillgood.cli.person import add_person, request
from stillgood.cli.place import Place, add_place, find_place

if TYPE_CHECKING:
    from stillgood.storage.windows import Window


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
            "replay --window 20261123T000000Z_20261124T000000Z --again --because 'the feed was mended'",
        ],
    )
    parser.add_argument("--window", metavar="ID", help="as `stillgood report` names it; the newest by default")
    parser.add_argument("--policy", choices=("guarded", "simple"), help="another policy than the stack's")
    parser.add_argument("--model", metavar="VERSION", help="as if this version had served")
    parser.add_argument("--contract", metavar="FILE", type=Path, help="under the settings of this contract")
    parser.add_argument(
        "--again", action="store_true", help="keep it as a new version of the report; the old one stays"
    )
    add_person(parser, required=False)
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.cli.verbs.contract import contract_of
    from stillgood.domain.policy.policies import POLICIES
    from stillgood.steps.monitor.again import last_windows, look_again
    from stillgood.storage.windows import Window

    place = find_place(arguments)
    newest = last_windows(place.store, 1)
    if arguments.window is None and not newest:
        raise WrongCall("No window was judged yet; `stillgood monitor` judges the one that ends now.")
    window = Window.from_id(arguments.window) if arguments.window else newest[0]
    if arguments.again:
        return _again(place, window, arguments)
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


def _again(place: Place, window: "Window", arguments: argparse.Namespace) -> Answer:
    from stillgood.domain.policy.policies import POLICIES
    from stillgood.pages.writer import write_window
    from stillgood.steps.monitor.again import judge_again
    from stillgood.wiring.in_process import now

    if not arguments.because:
        raise WrongCall("A new version of a report says why: --because 'the feed was mended'.")
    if arguments.policy or arguments.model or arguments.contract:
        raise WrongCall("--again judges by what holds; leave --policy, --model and --contract out, or look dry.")
    policy = POLICIES[place.steps.settings.policy]
    again, version = judge_again(
        place.store, window, policy, because=arguments.because, by=request(arguments).get("by", ""), now=now()
    )
    write_window(place.store, window.id)
    decided = str(again.stored["decision"]["action"])
    lines = [f"window {window.id} has a new report, version {version}: {again.made['decision']['action']}"]
    lines += ["", "against the first report"]
    for difference in again.differences or ("nothing differs",):
        lines += paragraph(difference, first="- ")
    lines += paragraph(f"the first report stays, and so does what was decided on it ({decided}); nothing was asked for")
    data = {"window": window.id, "version": version, "differences": list(again.differences), "report": dict(again.made)}
    return Answer("\n".join(lines), data, LOOK if again.differences else WELL)

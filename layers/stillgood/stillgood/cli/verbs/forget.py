"""forget: remove one entity from every stored row, and name the models that had learnt from it."""

import argparse

from stillgood.cli.console import LOOK, Answer, progress
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "forget",
        run,
        help=about,
        examples=[
            "forget --entity C00042 --store ./customers.stillgood",
            "forget --entity C00042 --dry --bucket my-models",
        ],
    )
    parser.add_argument("--entity", required=True, metavar="ID", help="as the id column or the labels name it")
    parser.add_argument("--dry", action="store_true", help="say where it stands, and change nothing")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.steps.forget import forget
    from stillgood.wiring.in_process import now

    place = find_place(arguments)
    with progress("looking through every stored row"):
        forgotten = forget(place.store, arguments.entity, now, dry=arguments.dry)
    verb = "would be removed" if arguments.dry else "removed"
    lines = [f"{forgotten.rows} rows {verb} from {len(forgotten.objects)} objects"]
    lines += [f"  {count} in {prefix}" for prefix, count in sorted(forgotten.by_prefix.items())]
    if forgotten.former:
        lines.append(f"old versions of {len(forgotten.former)} other objects, overwritten or deleted since, {verb}")
    if forgotten.models:
        lines.append("models that had learnt from it, or were judged by it:")
        lines += [f"  {version}" for version in forgotten.models]
        lines.append("  what they learnt stays in their weights until a training without it replaces them")
    if forgotten.record:
        lines.append(f"recorded as {forgotten.record}: that something was forgotten, not what")
    lines += [f"  could not be searched: {key}" for key in forgotten.unread]
    found = forgotten.rows or forgotten.former
    if not found:
        lines.append("  no stored row names it; ids are compared exactly, letter by letter")
    return Answer("\n".join(lines), forgotten.to_dict(), 0 if found and not forgotten.unread else LOOK)

"""move: copy a bucket or a folder into another one, and check it."""

import argparse
from pathlib import Path

from stillgood.cli.console import LOOK, WELL, Answer, paragraph, progress
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

_LISTED = 10


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "move",
        run,
        help=about,
        examples=[
            "move --to-bucket my-models-eu --bucket my-models",
            "move --to-store ./backup.stillgood --bucket my-models",
            "move --prefix models/ --to-bucket my-models --store ./backup.stillgood",
        ],
    )
    to = parser.add_mutually_exclusive_group(required=True)
    to.add_argument("--to-bucket", metavar="NAME", help="a bucket in AWS, with this shell's credentials")
    to.add_argument("--to-store", metavar="DIR", type=Path, help="a plain folder; it is made if need be")
    parser.add_argument("--prefix", default="", help="only what lies under it: mends what was deleted")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.moving import copy_bucket

    source = find_place(arguments)
    named = argparse.Namespace(store=arguments.to_store, bucket=arguments.to_bucket)
    target = find_place(named, create=True)
    with progress(f"copying to {target.name}"):
        moved = copy_bucket(source.store, target.store, arguments.prefix)
    lines = [f"{moved.copied} objects copied ({moved.bytes:,} bytes), {moved.kept} were there; each was read back"]
    for problem in moved.problems[:_LISTED]:
        lines += paragraph(problem, first="- ")
    if len(moved.problems) > _LISTED:
        lines.append(f"  and {len(moved.problems) - _LISTED} more problems")
    if not moved.problems:
        lines.append("  the decision log is whole, and every input that a decision names is there")
    data = {"copied": moved.copied, "kept": moved.kept, "bytes": moved.bytes, "problems": list(moved.problems)}
    return Answer("\n".join(lines), data, LOOK if moved.problems else WELL)

"""restore: bring deleted objects of a versioned bucket back, as they were, and check the log."""

import argparse
from datetime import UTC, datetime, timedelta

from stillgood.cli.console import LOOK, WELL, Answer, WrongCall, paragraph
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

_LISTED = 10


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "restore",
        run,
        help=about,
        examples=[
            "restore models/ --bucket my-models",
            "restore registry/production_metrics.json --hours 720 --bucket my-models",
        ],
    )
    parser.add_argument("prefix", metavar="PREFIX", help="a key, or what the keys begin with")
    parser.add_argument("--hours", type=float, default=24.0, help="deleted at most so long ago; 24 by default")
    parser.add_argument("--dry", action="store_true", help="list them, and change nothing")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.aws.s3_boto3 import Boto3ObjectStore
    from stillgood.storage.audit import verify

    place = find_place(arguments)
    if not isinstance(place.store, Boto3ObjectStore):
        raise WrongCall("A plain folder keeps no deleted objects; bring it back from a copy: `stillgood move --help`.")
    since = datetime.now(UTC) - timedelta(hours=arguments.hours)
    keys = place.store.restore(arguments.prefix, since, dry=arguments.dry)
    lines = [
        f"{len(keys)} deleted objects {'would come back' if arguments.dry else 'are back'}, with the bytes they had"
    ]
    lines += [f"  {key}" for key in keys[:_LISTED]]
    if len(keys) > _LISTED:
        lines.append(f"  and {len(keys) - _LISTED} more")
    problems = (
        [] if arguments.dry else [f"{damage.kind}: {damage.key}: {damage.detail}" for damage in verify(place.store)]
    )
    for problem in problems[:_LISTED]:
        lines += paragraph(problem, first="- ")
    if not keys:
        lines.append(
            f"  nothing under {arguments.prefix} was deleted in the last {arguments.hours:g} hours; --hours says"
        )
        lines.append("  how far back to look. What `stillgood forget` removed has no versions left.")
    return Answer("\n".join(lines), {"restored": keys, "problems": problems}, LOOK if problems or not keys else WELL)

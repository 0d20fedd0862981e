"""audit: verify the decision log, and make recorded decisions again: promote's, and those of monitor's windows."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stillgood.cli.console import LOOK, Answer
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

if TYPE_CHECKING:
    from stillgood.steps.monitor.replay import ReplayedWindow
    from stillgood.storage.objects import ObjectStore


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "audit",
        run,
        help=about,
        examples=[
            "audit --store ./customers.stillgood",
            "audit --bucket my-models --replay all --anchors their-bucket",
        ],
    )
    parser.add_argument(
        "--replay",
        metavar="N",
        type=_replayed,
        help='decide record N again, and compare every byte; "all": each, and each window',
    )
    parser.add_argument(
        "--anchors",
        metavar="WHERE",
        help="the bucket of AnchorBucketName, or a folder like it: names what was rewritten since",
    )
    parser.add_argument("--mend", action="store_true", help="write a lost or garbled pointer anew, as the log has it")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.audit import verify

    store = find_place(arguments).store
    mended = []
    if arguments.mend:
        from stillgood.storage.registry import Registry

        head = Registry(store).recover()
        mended = [f"the pointer is as decision {head.n} left it: {head.serving or 'nothing'} serves"]
    problems = verify(store)
    lines = [f"{problem.kind}: {problem.key}: {problem.detail}" for problem in problems]
    lines += mended
    lines.append("the decision log is whole" if not problems else f"{len(problems)} problems")
    replayed, windows = [], []
    if arguments.replay:
        from stillgood.steps.promote.replay import replay

        replayed = list(replay(store, None if arguments.replay == "all" else [int(arguments.replay)]))
        lines += [f"decision {decision.n}: {decision.detail}" for decision in replayed]
        same = sum(decision.same for decision in replayed)
        lines.append(f"{same} of {len(replayed)} decisions replayed to the same bytes")
    if arguments.replay == "all":
        from stillgood.steps.monitor.replay import replay_windows

        windows = list(replay_windows(store))
        lines += [f"{_named(decision)}: {decision.detail}" for decision in windows if not decision.same]
        for what, of_kind in (
            ("windows", [decision for decision in windows if decision.version == 1]),
            ("windows judged again", [decision for decision in windows if decision.version > 1]),
        ):
            judged = {(decision.window, decision.version) for decision in of_kind}
            wrong = {(decision.window, decision.version) for decision in of_kind if not decision.same}
            if judged or what == "windows":
                lines.append(f"{len(judged - wrong)} of {len(judged)} {what} replayed to the same decision")
    anchored = _anchored(arguments, store)
    lines += anchored
    data = {
        "problems": [{"kind": problem.kind, "key": problem.key, "detail": problem.detail} for problem in problems],
        "replayed": [
            {"n": decision.n, "same": decision.same, "detail": decision.detail, "forgotten": decision.forgotten}
            for decision in replayed
        ],
        "windows": [
            {
                "window": decision.window,
                "version": decision.version,
                "same": decision.same,
                "detail": decision.detail,
                "old": decision.old,
            }
            for decision in windows
        ],
    }
    whole = all(decision.same or decision.forgotten for decision in replayed) and all(
        decision.same or decision.old for decision in windows
    )
    rewritten = len(anchored) > 1
    return Answer("\n".join(lines), data, LOOK if problems or rewritten or not whole else 0)


def _named(decision: "ReplayedWindow") -> str:
    return f"window {decision.window}" + (f", version {decision.version}" if decision.version > 1 else "")


def _anchored(arguments: argparse.Namespace, store: "ObjectStore") -> list[str]:
    """A line a record that does not fit an anchor, and one that counts."""
    if not arguments.anchors:
        return []
    from stillgood.storage.anchor import misfits

    outside: ObjectStore
    if Path(arguments.anchors).is_dir():
        from stillgood.storage.folder import FolderObjectStore

        outside = FolderObjectStore(Path(arguments.anchors))
    else:
        from stillgood.aws.s3_boto3 import Boto3ObjectStore

        outside = Boto3ObjectStore(arguments.anchors)
    count, wrong = misfits(store, outside, arguments.bucket or "")
    lines = [f"rewritten: {misfit.key}: {misfit.detail} ({misfit.anchor})" for misfit in wrong]
    return [*lines, f"{count} anchors: {len(wrong)} records do not fit" if wrong else f"{count} anchors: all fit"]


def _replayed(word: str) -> str:
    if word != "all" and not (word.isascii() and word.isdigit() and int(word) > 0):
        raise argparse.ArgumentTypeError("a decision's number from 1, or all")
    return word

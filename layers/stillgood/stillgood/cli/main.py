"""The command's entry: verbs, help, exit codes, and every error as a sentence that says what to do."""

import argparse
import csv
import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from keyword import iskeyword

from stillgood.cli.console import ACT, AGAIN, EXIT_CODES, LOOK, Answer
from stillgood.domain.errors import (
    InvalidRows,
    InvocationFailed,
    ModelUnusable,
    NoBucket,
    NoChampion,
    NotEnoughData,
    StillgoodError,
    StoreUnavailable,
)

VERBS = {
    "try": "a first model from a labelled file, in one go, on a plain folder",
    "rehearse": "play your own dated history through the whole loop, policy by policy",
    "contract": "draft, check, compare or put in force a feature contract",
    "train": "learn from the labelled rows, and let the gate judge",
    "predict": "score a file with the champion",
    "explain": "why a row got its probability",
    "monitor": "judge a window of predictions, and act on it",
    "promote": "let the gate judge a version",
    "rollback": "go back to an earlier champion",
    "mode": "what may happen by itself: watch, ask or automatic",
    "approve": "put in force what waits for a person",
    "refuse": "keep out what waits for a person",
    "release": "let automatic promotions go on after a rollback by hand",
    "status": "what serves, and is anything wrong?",
    "decisions": "what was decided, and why",
    "at": "what served at a moment",
    "value": "what is the action on flagged customers worth?",
    "report": "a window's report, or all pages to look at",
    "replay": "look at a judged window again, dry, and say what differs",
    "labels": "take outcomes in",
    "quarantine": "find refused rows, and take them in mended",
    "move": "copy a bucket or a folder into another one, and check it",
    "restore": "bring deleted objects of a versioned bucket back, as they were",
    "audit": "verify the decision log",
    "forget": "remove one entity from every stored row",
    "up": "start the embedded cloud with your own data",
    "down": "stop the embedded cloud",
}
_FOUND = (InvalidRows, ModelUnusable, NotEnoughData)
_LATER = (StoreUnavailable, InvocationFailed)
_NEXT: dict[type[StillgoodError], str] = {
    NoChampion: "Run `stillgood train` first; `stillgood decisions` says what became of it."
}


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = sys.argv[1:] if words is None else list(words)
    arguments = _parser(words).parse_args(words)
    run: Callable[[argparse.Namespace], Answer] = arguments.run
    try:
        answer = run(arguments)
    except StillgoodError as error:
        detail = " ".join(filter(None, [error.detail, _NEXT.get(type(error))]))
        return _failed(arguments, error.title, detail, _status(error), error.to_dict())
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        detail = "the disk is full; free some space, then try again" if full else str(error)
        return _failed(arguments, "Cannot read or write", detail, AGAIN if full else ACT, {})
    except KeyboardInterrupt:
        print("stopped; what was written is whole, and the same command goes on from there", file=sys.stderr)
        return 130
    try:
        if arguments.json:
            print(json.dumps(answer.data, indent=1, ensure_ascii=False))
        elif answer.text:
            print(answer.text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe, as `head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 -- nothing is left to flush at exit
    return answer.status


def add_verb(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], Answer],
    *,
    help: str,
    examples: Sequence[str],
) -> argparse.ArgumentParser:
    """One command with its help: what it does, examples, exit codes."""
    lines = "\n".join(f"  stillgood {example}" for example in examples)
    parser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"examples\n{lines}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=run)
    return parser


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stillgood",
        description="Is the model still good? Predict, monitor, train and promote, over a folder or a bucket.",
        epilog=f"`stillgood VERB --help` shows examples.\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="VERB")
    chosen = next((word for word in words if not word.startswith("-")), None)
    for verb, about in VERBS.items():
        # Only the verb that is asked for is imported; the others are names for the list.
        if verb == chosen:
            import_module(f"stillgood.cli.verbs.{verb}_" if iskeyword(verb) else f"stillgood.cli.verbs.{verb}").add(
                commands, about
            )
        else:
            commands.add_parser(verb, help=about)
    return parser


def _status(error: StillgoodError) -> int:
    if isinstance(error, NoBucket):
        return ACT
    return AGAIN if isinstance(error, _LATER) else LOOK if isinstance(error, _FOUND) else ACT


def _failed(arguments: argparse.Namespace, title: str, detail: str, status: int, data: dict[str, object]) -> int:
    if arguments.json:
        print(json.dumps({"error": {"title": title, "detail": detail, **data}}, indent=1, ensure_ascii=False))
    print(f"{title}: {detail}", file=sys.stderr)
    return status

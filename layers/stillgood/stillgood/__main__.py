"""``python -m stillgood``: what a person does by hand. Exit status 0 when all is well, 1 when something was found, 2 for a wrong call."""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.errors import InvalidRows, StillgoodError
from stillgood.storage.keys import CONTRACT_KEY

if TYPE_CHECKING:  # each command imports what it needs
    from stillgood.storage.objects import ObjectStore

_LISTED = 20


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. Each imports what it needs."""
    parser = argparse.ArgumentParser(
        prog="python -m stillgood", description="Feature contracts, the decision log and refused rows."
    )
    commands = parser.add_subparsers(required=True)
    contract = commands.add_parser("contract", help="draft or check a feature contract").add_subparsers(required=True)
    drafting = contract.add_parser("draft", help="print a first contract for a CSV of labelled rows")
    drafting.add_argument("rows", type=Path)
    drafting.add_argument("--target", required=True, help="the outcome column")
    drafting.add_argument("--positive", required=True, help="its value that is predicted")
    drafting.add_argument("--id", help="the column that names the entity")
    drafting.add_argument("--time", help="the column that says when the row was true")
    drafting.add_argument("--name", default=None, help="the contract's name; the file's by default")
    drafting.set_defaults(run=_draft)
    checking = contract.add_parser("check", help="check a contract, and rows against it")
    checking.add_argument("contract", type=Path)
    checking.add_argument("rows", type=Path, nargs="?")
    checking.set_defaults(run=_check)
    auditing = commands.add_parser("audit", help="verify the decision log of a bucket")
    auditing.add_argument("--bucket", required=True)
    auditing.add_argument(
        "--replay", metavar="N", type=_replayed, help='decide record N ("all": each) again, and compare every byte'
    )
    auditing.set_defaults(run=_audit)
    quarantine = commands.add_parser("quarantine", help="find refused rows, and take them in mended").add_subparsers(
        required=True
    )
    for name, run, about in (
        ("list", _list_quarantine, "what was refused, and why"),
        ("export", _export, "print refused rows as CSV, with the reasons"),
        ("reingest", _reingest, "take a mended CSV in, once, if all of it is right"),
    ):
        command = quarantine.add_parser(name, help=about)
        command.add_argument("--bucket", required=True)
        command.set_defaults(run=run)
        if name == "export":
            command.add_argument("key", help="as the list names it")
        if name == "reingest":
            command.add_argument("rows", type=Path)
    arguments = parser.parse_args(words)
    try:
        status: int = arguments.run(arguments)
    except StillgoodError as error:
        print(f"{error.title}: {error.detail}", file=sys.stderr)
        return 1
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        print(f"cannot read it: {error}", file=sys.stderr)
        return 1
    return status


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{name: value or "" for name, value in row.items() if name is not None} for row in csv.DictReader(file)]


def _draft(arguments: argparse.Namespace) -> int:
    from stillgood.domain.contract.draft import draft

    made = draft(
        _rows(arguments.rows),
        target=arguments.target,
        positive=arguments.positive,
        id_column=arguments.id,
        time_column=arguments.time,
        name=arguments.name or arguments.rows.stem,
    )
    print(json.dumps(made, indent=1, ensure_ascii=False))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    contract = read_contract(json.loads(arguments.contract.read_text(encoding="utf-8")))
    print(f"{contract.name} {contract.version}: {len(contract.features)} features, sha256 {contract.sha256}")
    broken, checker = 0, RowChecker(contract)
    rows = _rows(arguments.rows) if arguments.rows else []
    for number, row in enumerate(rows, 1):
        violations = checker.check(row, text=True, extra="ignore").violations
        broken += bool(violations)
        for violation in violations if broken <= _LISTED else ():
            print(f"row {number}: {violation.message}")
    if rows:
        print(f"{len(rows) - broken} of {len(rows)} rows keep the contract")
    return 1 if broken else 0


def _audit(arguments: argparse.Namespace) -> int:
    from stillgood.aws.s3_boto3 import Boto3ObjectStore
    from stillgood.storage.audit import verify

    store = Boto3ObjectStore(arguments.bucket)
    problems = verify(store)
    for problem in problems:
        print(f"{problem.kind}: {problem.key}: {problem.detail}")
    print("the decision log is whole" if not problems else f"{len(problems)} problems")
    return 1 if problems or (arguments.replay and not _replay(store, arguments.replay)) else 0


def _replayed(word: str) -> str:
    if word != "all" and not (word.isascii() and word.isdigit() and int(word) > 0):
        raise argparse.ArgumentTypeError("a decision's number from 1, or all")
    return word


def _replay(store: "ObjectStore", word: str) -> bool:
    """Whether every decision asked about came out the same."""
    from stillgood.steps.promote.replay import replay

    tried = same = 0
    for one in replay(store, None if word == "all" else [int(word)]):
        print(f"decision {one.n}: {one.detail}")
        tried, same = tried + 1, same + one.same
    print(f"{same} of {tried} decisions replayed to the same bytes")
    return same == tried


def _list_quarantine(arguments: argparse.Namespace) -> int:
    from stillgood.aws.s3_boto3 import Boto3ObjectStore
    from stillgood.steps.labels.quarantine import listing

    for one in listing(Boto3ObjectStore(arguments.bucket)):
        print(f"{one.key}: {one.rows} rows; " + ", ".join(f"{count} by {rule}" for rule, count in one.rules.items()))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from stillgood.aws.s3_boto3 import Boto3ObjectStore
    from stillgood.steps.labels.quarantine import export

    print(export(Boto3ObjectStore(arguments.bucket), arguments.key), end="")
    return 0


def _reingest(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from stillgood.aws.s3_boto3 import Boto3ObjectStore
    from stillgood.steps.labels.quarantine import reingest
    from stillgood.storage.codec import decode_any

    store = Boto3ObjectStore(arguments.bucket)
    contract = read_contract(decode_any(store.get(CONTRACT_KEY).data, what=CONTRACT_KEY))
    try:
        key = reingest(store, arguments.rows.read_bytes(), contract, datetime.now(UTC).date())
    except InvalidRows as error:
        for one in error.violations[:_LISTED]:
            print(f"row {one['row']}: {one['message']}")
        raise
    print(f"taken in as {key}" if key else "these very rows were taken in before; nothing changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

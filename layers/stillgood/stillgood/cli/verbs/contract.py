"""contract draft | check | diff | apply."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import LOOK, Answer, paragraph, progress
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

if TYPE_CHECKING:
    from stillgood.domain.contract.contract import Contract

_LISTED = 20


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = commands.add_parser("contract", help=about, description=about)
    inner = parser.add_subparsers(required=True, metavar="draft|check|diff|apply")
    drafting = add_verb(
        inner,
        "draft",
        draft,
        help="print a first contract for a file of labelled rows",
        examples=["contract draft customers.csv --target churn --positive Yes --id customer_id > contract.json"],
    )
    drafting.add_argument("rows", type=Path)
    drafting.add_argument("--target", required=True, help="the outcome column")
    drafting.add_argument("--positive", required=True, help="its value that is predicted")
    drafting.add_argument("--id", help="the column that names the entity")
    drafting.add_argument("--time", help="the column that says when the row was true")
    drafting.add_argument("--name", default=None, help="the contract's name; the file's by default")
    checking = add_verb(
        inner,
        "check",
        check,
        help="check a contract, and a file of rows against it",
        examples=["contract check contract.json", "contract check contract.json customers.csv"],
    )
    checking.add_argument("contract", type=Path)
    checking.add_argument("rows", type=Path, nargs="?")
    comparing = add_verb(
        inner,
        "diff",
        diff,
        help="what a changed contract means for the champion, captured rows, labels and the reference",
        examples=["contract diff old.json new.json", "contract diff new.json --store ./customers.stillgood"],
    )
    comparing.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="the new contract, or the old one and the new one"
    )
    add_place(comparing)
    applying = add_verb(
        inner,
        "apply",
        apply,
        help="put a contract in force: the next training learns by it",
        examples=["contract apply contract.json --store ./customers.stillgood"],
    )
    applying.add_argument("contract", type=Path)
    add_place(applying)


def draft(arguments: argparse.Namespace) -> Answer:
    from stillgood.cli.drafting import draft_file

    made = draft_file(
        arguments.rows,
        target=arguments.target,
        positive=arguments.positive,
        id_column=arguments.id,
        time_column=arguments.time,
        name=arguments.name,
    )
    for note in made.notes:
        print("\n".join(paragraph(note, first="- ")), file=sys.stderr)
    text = json.dumps(made.contract, indent=1, ensure_ascii=False)
    return Answer(text, {"contract": made.contract, "notes": list(made.notes), "rows": made.rows})


def check(arguments: argparse.Namespace) -> Answer:
    from stillgood.cli.files import table
    from stillgood.domain.contract.column_check import ColumnCheck

    contract = contract_of(arguments.contract)
    lines = [f"{contract.name} {contract.version}: {len(contract.features)} features, sha256 {contract.sha256}"]
    listed: list[dict[str, Any]] = []
    good = total = 0
    if arguments.rows is not None:
        opened = table(arguments.rows, contract)
        checker = ColumnCheck(contract, text=opened.text, extra="ignore")
        lines += [note.message for note in opened.notes]
        with progress(f"checking {arguments.rows.name}"):
            for chunk in opened.chunks:
                listed += [
                    {"row": bad.number, "field": "(row)", "rule": bad.rule, "message": bad.message}
                    for bad in chunk.unreadable
                ]
                total += len(chunk.unreadable) + len(chunk.numbers)
                for index, number in enumerate(chunk.numbers):
                    violations = checker.row(chunk, index).violations
                    good += not violations
                    listed += [
                        {"row": number, "field": one.field, "rule": one.rule, "message": one.message}
                        for one in violations
                    ]
        lines += [f"row {one['row']}: {one['message']}" for one in listed[:_LISTED]]
        if len(listed) > _LISTED:
            lines.append(f"and {len(listed) - _LISTED} more places")
        lines.append(f"{good} of {total} rows keep the contract")
    data = {
        "name": contract.name,
        "version": contract.version,
        "sha256": contract.sha256,
        "rows": total,
        "good": good,
        "violations": listed,
    }
    return Answer("\n".join(lines), data, LOOK if listed else 0)


def diff(arguments: argparse.Namespace) -> Answer:
    from stillgood.cli.console import WrongCall
    from stillgood.domain.contract.changes import changes

    new = contract_of(arguments.files[-1])
    if len(arguments.files) > 2:
        raise WrongCall("Name one contract to compare with the one in force, or two: the old one, then the new one.")
    if len(arguments.files) == 2:
        old, name = contract_of(arguments.files[0]), str(arguments.files[0])
    else:
        from stillgood.storage.contract import contract_in_force

        place = find_place(arguments)
        old, name = contract_in_force(place.store), f"the contract in force ({place.name})"
    found = changes(old, new)
    lines = [f"{name} -> {arguments.files[-1]}"]
    for one in found:
        lines += ["", f"{one.place}: {one.what}"]
        for subject, meaning in one.means.items():
            lines += paragraph(meaning, first=f"{subject:<10} ", indent=4)
    if not found:
        lines.append("nothing changes")
    data = {"changes": [{"place": one.place, "what": one.what, "means": dict(one.means)} for one in found]}
    return Answer("\n".join(lines), data, LOOK if found else 0)


def apply(arguments: argparse.Namespace) -> Answer:
    from stillgood.domain.contract.changes import changes
    from stillgood.domain.errors import InvalidEvent, ObjectNotFound
    from stillgood.storage.contract import contract_in_force
    from stillgood.storage.keys import CONTRACT_KEY

    contract = contract_of(arguments.contract)
    place = find_place(arguments, create=True)
    data = arguments.contract.read_bytes()
    try:
        etag = place.store.get(CONTRACT_KEY).etag
    except ObjectNotFound:
        place.store.create(CONTRACT_KEY, data)
        return Answer(
            f"{contract.name} {contract.version} is in force in {place.name}; nothing was before.",
            {"sha256": contract.sha256, "before": None, "changes": []},
        )
    try:
        before = contract_in_force(place.store)
    except InvalidEvent:  # a contract that cannot be read is replaced by one that can
        before = None
    place.store.swap(CONTRACT_KEY, data, etag)
    found = changes(before, contract) if before else []
    lines = [f"{contract.name} {contract.version} is in force in {place.name}; the next training learns by it."]
    lines += [f"  {one.place}: {one.what}" for one in found] or ["  nothing changed"]
    data_out = {
        "sha256": contract.sha256,
        "before": before.sha256 if before else None,
        "changes": [{"place": one.place, "what": one.what} for one in found],
    }
    return Answer("\n".join(lines), data_out)


def contract_of(path: Path) -> "Contract":
    """The contract in a file. Raises ContractInvalid, OSError, JSONDecodeError."""
    from stillgood.domain.contract.reader import read_contract

    return read_contract(json.loads(path.read_text(encoding="utf-8")))

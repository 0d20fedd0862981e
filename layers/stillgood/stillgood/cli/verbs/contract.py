"""contract draft | check | diff | apply."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import LOOK, Answer, WrongCall, paragraph, progress
from stillgood.cli.main import add_verb
from stillgood.cli.person import add_person
from stillgood.cli.place import Place, add_place, find_place

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
    drafting.add_argument("--keep", action="append", default=[], help="keep a column that gives the outcome away")
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
    add_person(applying, required=False)
    applying.set_defaults(because="the contract was applied")
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
        keep=arguments.keep,
    )
    for note in made.notes:
        print("\n".join(paragraph(str(note), first="- ")), file=sys.stderr)
    text = json.dumps(made.contract, indent=1, ensure_ascii=False)
    return Answer(
        text, {"contract": made.contract, "notes": [note.to_dict() for note in made.notes], "rows": made.rows}
    )


def check(arguments: argparse.Namespace) -> Answer:
    from stillgood.domain.errors import ContractInvalid

    try:
        contract = contract_of(arguments.contract)
    except ContractInvalid as error:  # what a check is for
        return Answer(f"{error.title}: {error.detail}", error.to_dict(), LOOK)
    lines = [f"{contract.name} {contract.version}: {len(contract.features)} features, sha256 {contract.sha256}"]
    data: dict[str, Any] = {"name": contract.name, "version": contract.version, "sha256": contract.sha256}
    if arguments.rows is None:
        return Answer("\n".join(lines), data)
    from stillgood.training.drafting import check_file

    if not arguments.rows.is_file():
        raise WrongCall(f"There is no file {arguments.rows}; check the spelling, or the folder you are in.")
    with progress(f"checking {arguments.rows.name}"):
        report = check_file(arguments.rows, contract)
    lines += report.notes
    for finding in report.findings[:_LISTED]:
        lines += paragraph(str(finding), first="- ")
    if len(report.findings) > _LISTED:
        lines.append(f"and {len(report.findings) - _LISTED} more rules are broken")
    if report.problem is not None:
        lines.append(report.problem)
    else:
        lines += [f"{count} rows mended by {rule}" for rule, count in report.repaired.items()]
        lines.append(f"{report.accepted} of {report.rows} rows keep the contract")
    return Answer("\n".join(lines), data | report.to_dict(), LOOK if report.refused or report.problem else 0)


def diff(arguments: argparse.Namespace) -> Answer:
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
    changed = changes(old, new)
    lines = [f"{name} -> {arguments.files[-1]}"]
    for change in changed:
        lines += ["", f"{change.place}: {change.what}"]
        for subject, meaning in change.means.items():
            lines += paragraph(meaning, first=f"{subject:<10} ", indent=4)
    if not changed:
        lines.append("nothing changes")
    data = {
        "changes": [{"place": change.place, "what": change.what, "means": dict(change.means)} for change in changed]
    }
    return Answer("\n".join(lines), data, LOOK if changed else 0)


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
    changed = changes(before, contract) if before else []
    lines = [f"{contract.name} {contract.version} is in force in {place.name}; the next training learns by it."]
    lines += [f"  {change.place}: {change.what}" for change in changed] or ["  nothing changed"]
    decision = _settings(arguments, place, contract)
    if decision is not None and decision["result"] == "settings in force":
        lines += ["", f"settings that hold from now on, without a model: decision {decision['decision']}"]
        for reason in decision["reasons"][:-1]:
            lines += paragraph(reason, first="- ")
        lines += _would_have(place, contract)
    data_out = {
        "sha256": contract.sha256,
        "before": before.sha256 if before else None,
        "changes": [{"place": change.place, "what": change.what} for change in changed],
        "decision": decision,
    }
    return Answer("\n".join(lines), data_out)


def _settings(arguments: argparse.Namespace, place: Place, contract: "Contract") -> dict[str, Any] | None:
    """The decision that puts the settings in force for what serves; None where nothing serves."""
    from stillgood.cli.person import request
    from stillgood.storage.registry import Registry
    from stillgood.storage.settings import write_settings

    if Registry(place.store).pointer() is None:
        return None
    named = write_settings(place.store, contract)
    (decision,) = place.steps.run("promote", {"action": "settings", "contract": named, **request(arguments)})
    return decision


def _would_have(place: Place, contract: "Contract", count: int = 3) -> list[str]:
    """What the settings would have changed in the last windows."""
    from stillgood.domain.errors import StillgoodError
    from stillgood.domain.policy.policies import POLICIES
    from stillgood.steps.monitor.again import last_windows, look_again

    lines = []
    for window in last_windows(place.store, count):
        try:
            again = look_again(place.store, window, POLICIES[place.steps.settings.policy], contract=contract)
        except StillgoodError as error:
            lines += paragraph(f"window {window.id} cannot be looked at again: {error.detail}", first="- ")
            continue
        then, now = again.stored["decision"]["action"], again.made["decision"]["action"]
        said = f"it was {then}, it would have been {now}" if then != now else f"{then}, as it was"
        lines += paragraph(f"window {window.id}: {said}", first="- ")
    return ["what they would have changed in the last windows", *lines] if lines else []


def contract_of(path: Path) -> "Contract":
    """The contract in a file. Raises ContractInvalid, OSError, JSONDecodeError."""
    from stillgood.domain.contract.reader import read_contract

    return read_contract(json.loads(path.read_text(encoding="utf-8")))

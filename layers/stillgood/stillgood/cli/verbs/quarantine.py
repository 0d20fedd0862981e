"""quarantine list | export | reingest."""

import argparse
from pathlib import Path

from stillgood.cli.console import LOOK, Answer, paragraph
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

_LISTED = 20


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = commands.add_parser("quarantine", help=about, description=about)
    inner = parser.add_subparsers(required=True, metavar="list|export|reingest")
    listing = add_verb(
        inner,
        "list",
        list_,
        help="what was refused, and why",
        examples=["quarantine list --store ./customers.stillgood"],
    )
    exporting = add_verb(
        inner,
        "export",
        export,
        help="print refused rows as CSV, with the reasons",
        examples=["quarantine export quarantine/labels/a.jsonl --bucket my-models > mend.csv"],
    )
    exporting.add_argument("key", help="as the list names it")
    taking = add_verb(
        inner,
        "reingest",
        reingest,
        help="take a mended CSV in, once, if all of it is right",
        examples=["quarantine reingest mend.csv --bucket my-models"],
    )
    taking.add_argument("rows", type=Path)
    for command in (listing, exporting, taking):
        add_place(command)


def list_(arguments: argparse.Namespace) -> Answer:
    from stillgood.steps.labels.quarantine import listing

    objects = list(listing(find_place(arguments).store))
    lines = []
    for entry in objects:
        rules = ", ".join(f"{count} by {rule}" for rule, count in entry.rules.items())
        lines += [f"{entry.key}: {entry.rows} rows; {rules}", *paragraph(entry.example, first="such as: ")]
    data = {
        "objects": [
            {"key": entry.key, "rows": entry.rows, "rules": dict(entry.rules), "example": entry.example}
            for entry in objects
        ]
    }
    return Answer("\n".join(lines) or "nothing is in quarantine", data)


def export(arguments: argparse.Namespace) -> Answer:
    from stillgood.steps.labels.quarantine import export as as_csv

    text = as_csv(find_place(arguments).store, arguments.key)
    return Answer(text.removesuffix("\n").removesuffix("\r"), {"csv": text})


def reingest(arguments: argparse.Namespace) -> Answer:
    from stillgood.domain.errors import InvalidRows
    from stillgood.steps.labels.quarantine import reingest as take_in
    from stillgood.storage.contract import contract_in_force
    from stillgood.wiring.in_process import now

    store = find_place(arguments).store
    try:
        key = take_in(store, arguments.rows.read_bytes(), contract_in_force(store), now().date())
    except InvalidRows as error:
        lines = [f"row {violation['row']}: {violation['message']}" for violation in error.violations[:_LISTED]]
        return Answer("\n".join([*lines, error.detail]), error.to_dict(), LOOK)
    sentence = f"taken in as {key}" if key else "these very rows were taken in before; nothing changed"
    return Answer(sentence, {"key": key})

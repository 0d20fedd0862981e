"""quarantine list | export | reingest."""

import argparse
from pathlib import Path

from stillgood.cli.console import LOOK, Answer
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
    for one in (listing, exporting, taking):
        add_place(one)


def list_(arguments: argparse.Namespace) -> Answer:
    from stillgood.steps.labels.quarantine import listing

    found = list(listing(find_place(arguments).store))
    lines = [
        f"{one.key}: {one.rows} rows; " + ", ".join(f"{count} by {rule}" for rule, count in one.rules.items())
        for one in found
    ]
    data = {"objects": [{"key": one.key, "rows": one.rows, "rules": dict(one.rules)} for one in found]}
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
        lines = [f"row {one['row']}: {one['message']}" for one in error.violations[:_LISTED]]
        return Answer("\n".join([*lines, error.detail]), error.to_dict(), LOOK)
    told = f"taken in as {key}" if key else "these very rows were taken in before; nothing changed"
    return Answer(told, {"key": key})

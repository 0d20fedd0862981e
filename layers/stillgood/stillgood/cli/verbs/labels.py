"""labels add: take a file of outcomes in, and say what became of each."""

import argparse
from pathlib import Path

from stillgood.cli.console import LOOK, Answer, WrongCall
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

_SUFFIXES = (".csv", ".jsonl")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = commands.add_parser("labels", help=about, description=about)
    inner = parser.add_subparsers(required=True, metavar="add")
    adding = add_verb(
        inner,
        "add",
        run,
        help="take a file of outcomes in: prediction_id or entity_id, label, event_time",
        examples=["labels add outcomes.csv --store ./customers.stillgood"],
    )
    adding.add_argument("file", type=Path, metavar="FILE", help=".csv with a header, or .jsonl")
    add_place(adding)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.domain.errors import ObjectExists
    from stillgood.steps.labels.ingest import ingest_label_files
    from stillgood.storage.codec import sha256
    from stillgood.storage.contract import contract_in_force
    from stillgood.storage.keys import INCOMING_PREFIX
    from stillgood.wiring.in_process import now

    place = find_place(arguments)
    path: Path = arguments.file
    if path.suffix.lower() not in _SUFFIXES:
        raise WrongCall(f"{path.name} is not one of {', '.join(_SUFFIXES)}; save it as CSV with a header.")
    if not path.is_file():
        raise WrongCall(f"There is no file {path}; check the spelling, or the folder you are in.")
    _check_header(path)
    target = contract_in_force(place.store).target
    data = path.read_bytes()
    try:
        place.store.create(f"{INCOMING_PREFIX}{path.stem}-{sha256(data)[:12]}{path.suffix.lower()}", data)
    except ObjectExists:
        return Answer("this very file was taken in before; nothing changed", {"files": 0, "accepted": 0, "refused": 0})
    counts = ingest_label_files(place.store, target, now)
    lines = [f"{counts['accepted']} labels accepted, {counts['refused']} refused"]
    if counts["refused"]:
        lines.append(f"  stillgood quarantine list {place.option}".rstrip() + "  shows why")
    lines.append("  monitor joins them with the predictions when they have matured")
    return Answer("\n".join(lines), counts, LOOK if counts["refused"] else 0)


def _check_header(path: Path) -> None:
    """Raises WrongCall for a file in which no row could be a label."""
    from stillgood.cli.files import table

    opened = table(path)
    opened.close()
    if opened.names is None:
        return
    missing = [name for name in ("label", "event_time") if name not in opened.names]
    if not {"prediction_id", "entity_id"} & set(opened.names):
        missing.append("prediction_id or entity_id")
    if missing:
        raise WrongCall(
            f"{path.name} has no column {', '.join(missing)}; it has {', '.join(opened.names)}. A label names what it"
            " is about (prediction_id or entity_id), the outcome (label), and when it was known (event_time)."
        )

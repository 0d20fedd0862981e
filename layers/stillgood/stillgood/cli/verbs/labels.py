"""labels add: take a file of outcomes in, and say what became of each. labels revoke: take back what was taught."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stillgood.cli.console import LOOK, Answer, WrongCall
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

_SUFFIXES = (".csv", ".jsonl")
_WORDS = {
    "matched": "match a prediction",
    "waiting": "wait for a prediction whose hour is not over, or that is still to be captured",
    "without_prediction": "match none: unknown id",
    "before_prediction": "are dated before the prediction they name",
    "repeated": "say what was known already",
    "superseding": "overrule what was known",
    "future": "lie in the future",
}
_ODD = ("without_prediction", "before_prediction", "future")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = commands.add_parser("labels", help=about, description=about)
    inner = parser.add_subparsers(required=True, metavar="add|revoke")
    adding = add_verb(
        inner,
        "add",
        run,
        help="take a file of outcomes in: prediction_id or entity_id, label, event_time",
        examples=["labels add outcomes.csv --store ./customers.stillgood"],
    )
    adding.add_argument("file", type=Path, metavar="FILE", help=".csv with a header, or .jsonl")
    add_place(adding)
    revoking = add_verb(
        inner,
        "revoke",
        run_revoke,
        help="take labels back, with the training rows joined from them, and name the models that learnt from them",
        examples=[
            "labels revoke --caller crm-feed --since 2026-11-01 --because 'the feed was broken' --bucket my-models",
            "labels revoke --prediction 0f3c... --because 'wrong customer' --dry --store ./customers.stillgood",
        ],
    )
    named = revoking.add_mutually_exclusive_group(required=True)
    named.add_argument("--batch", default="", metavar="KEY", help="one batch, by its key or the beginning of its name")
    named.add_argument("--caller", default="", metavar="NAME", help="all that one source told, as reports name it")
    named.add_argument("--prediction", default="", metavar="ID", help="all that was told of one prediction")
    revoking.add_argument("--since", metavar="DATE", type=_moment, help="only what arrived then or later, in UTC")
    revoking.add_argument("--because", required=True, metavar="WHY", help="kept with the labels in quarantine")
    revoking.add_argument("--dry", action="store_true", help="say what it would be, and change nothing")
    add_place(revoking)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.domain.errors import ObjectExists
    from stillgood.steps.labels.ingest import ingest_label_files
    from stillgood.steps.monitor.hear import hear_now
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
    contract = contract_in_force(place.store)
    target = contract.target
    data = path.read_bytes()
    try:
        place.store.create(f"{INCOMING_PREFIX}{path.stem}-{sha256(data)[:12]}{path.suffix.lower()}", data)
    except ObjectExists:
        return Answer("this very file was taken in before; nothing changed", {"files": 0, "accepted": 0, "refused": 0})
    counts: dict[str, Any] = dict(ingest_label_files(place.store, target, now))
    lines = [f"{counts['accepted']} labels accepted, {counts['refused']} refused"]
    if counts["refused"]:
        lines.append(f"  stillgood quarantine list {place.option}".rstrip() + "  shows why")
    became = hear_now(place.store, contract, now())
    lines += [
        f"  {_WORDS[name]}: {ending['count']}{_example(ending)}" for name, ending in became.items() if ending["count"]
    ]
    lines.append("  monitor judges by those that match a prediction, as soon as they have matured")
    look = counts["refused"] or any(became.get(name, {}).get("count") for name in _ODD)
    return Answer("\n".join(lines), counts | {"outcomes": became}, LOOK if look else 0)


def _example(ending: Mapping[str, Any]) -> str:
    return f" (such as {ending['example']})" if ending.get("example") else ""


def run_revoke(arguments: argparse.Namespace) -> Answer:
    from stillgood.steps.labels.revoke import Which, revoke
    from stillgood.storage.contract import contract_in_force
    from stillgood.storage.registry import Registry

    place = find_place(arguments)
    which = Which(arguments.batch, arguments.caller, arguments.prediction, arguments.since)
    revoked = revoke(place.store, contract_in_force(place.store), which, because=arguments.because, dry=arguments.dry)
    verb = "would be revoked" if arguments.dry else "revoked"
    lines = [
        f"{sum(revoked.labels.values())} labels {verb}, which told the outcome of {revoked.predictions} predictions"
    ]
    lines += [f"  {count} of {source or 'nobody known'}" for source, count in sorted(revoked.labels.items())]
    lines.append(f"{revoked.rows} training rows joined from them {'would go' if arguments.dry else 'are gone'}")
    if revoked.models:
        pointer = Registry(place.store).pointer()
        lines.append("models that had learnt from them:")
        serving = pointer.version if pointer else None
        lines += [f"  {version}{' (it serves)' if version == serving else ''}" for version in revoked.models]
        lines.append(
            "  `stillgood train` learns without them, and the gate compares; `stillgood rollback` goes back now"
        )
    if revoked.labels and not arguments.dry:
        lines.append("  monitor's next run judges the champion by the labels that are left")
    if not revoked.labels:
        lines.append("  no label fits; the report's labels.sources names who told what")
    return Answer("\n".join(lines), revoked.to_dict(), 0 if revoked.labels and not revoked.models else LOOK)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a date such as 2026-11-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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

"""train: learn from the labelled rows under data/, publish a version, and let the gate judge it."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

from stillgood.cli.console import LOOK, Answer, paragraph, progress
from stillgood.cli.main import add_verb
from stillgood.cli.place import Place, add_place, find_place

_WORDS = {"asked": "waits for a person"}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "train",
        run,
        help=about,
        examples=["train --store ./customers.stillgood", "train october.csv --bucket my-models --because 'new tariff'"],
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="labelled rows to add under data/ first")
    parser.add_argument("--because", default="asked by hand", help="the reason that the log keeps")
    parser.add_argument(
        "--recalibrate", action="store_true", help="keep the weights, fit calibration and threshold only"
    )
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    place = find_place(arguments)
    for path in arguments.files:
        upload(place, path)
    return train(place, arguments.because, "recalibrate" if arguments.recalibrate else "train")


def upload(place: Place, path: Path) -> str:
    """Put a file of labelled rows under data/<today>/; returns its key. The same file again is the same object."""
    from stillgood.cli.files import stored
    from stillgood.domain.errors import ObjectExists
    from stillgood.storage.codec import sha256
    from stillgood.storage.keys import DATA_PREFIX
    from stillgood.wiring.in_process import now

    stem, suffix, data = stored(path)
    _check_header(place, path)
    digest = sha256(data)[:12]
    for info in place.store.list(DATA_PREFIX):
        if info.key.endswith(f"-{digest}{suffix}"):
            return info.key
    key = f"{DATA_PREFIX}{now():%Y-%m-%d}/{stem}-{digest}{suffix}"
    with suppress(ObjectExists):
        place.store.create(key, data)
    return key


def _check_header(place: Place, path: Path) -> None:
    """Raises TableUnreadable for a file that training would refuse whole: it would lie under data/ for ever."""
    from stillgood.cli.files import table
    from stillgood.storage.contract import contract_in_force
    from stillgood.training.ingest import needed_columns

    contract = contract_in_force(place.store)
    table(path, contract, needed=needed_columns(contract)).close()


def train(place: Place, because: str, action: str = "train", request_id: str | None = None) -> Answer:
    """Train and promote in this process. The same ``request_id`` again gets the first answer."""
    from uuid import uuid4

    event = {"request_id": request_id or f"by hand {uuid4()}", "reason": because, "window": None, "action": action}
    with progress("training"):
        answers = place.steps.run("train", event)
    return training_answer(answers)


def training_answer(answers: list[dict[str, Any]]) -> Answer:
    """What came of a training and of the decision about it."""
    trained, *decided = answers
    lines = [f"{trained['result']}: {trained['version']}"]
    if trained.get("learnt_until"):
        lines.append(f"  from rows until {trained['learnt_until']}: the day that its name begins with")
    if trained["why"]:
        lines += paragraph(trained["why"])
    rows = trained["rows"]
    refused = rows["refused_rows"] + rows["refused_objects"]
    lines.append(f"  {rows['accepted']} rows learnt from or held out, {refused} refused")
    lines += [f"    {count} by {rule}" for rule, count in rows["refused"].items()]
    lines += [f"    {count} mended or left out by {rule}" for rule, count in rows["repaired"].items() if count]
    if trained["quarantine"]:
        lines.append(f"  refused rows: stillgood quarantine export {trained['quarantine']}")
    for decision in decided:
        lines += verdict(decision)
    refusals = any(decision["result"] in ("refused", "asked") for decision in decided)
    return Answer("\n".join(lines), {"train": trained, "decisions": decided}, LOOK if refused or refusals else 0)


def verdict(decision: dict[str, Any]) -> list[str]:
    """A decision's answer in lines."""
    about = f": {decision['candidate']}" if decision["candidate"] else ""
    before = f" (before: {decision['old_version']})" if decision["old_version"] else ""
    done = _WORDS.get(decision["result"], decision["result"])
    serves = decision["new_version"] or "nothing"
    lines = [f"{done}{about}, decision {decision['decision']}; {serves} serves{before}"]
    for reason in decision["reasons"]:
        lines += paragraph(reason, first="- ")
    if decision["result"] == "asked":
        lines += paragraph(
            f"`stillgood approve {decision['decision']} --because ...` puts it in force, `stillgood refuse"
            f" {decision['decision']} --because ...` keeps it out.",
            first="> ",
        )
    for change in decision["would_change"]:
        lines += paragraph(f"would change it: {change}", first="> ")
    return lines

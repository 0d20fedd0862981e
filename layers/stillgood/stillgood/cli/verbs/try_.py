"""try: from a labelled file to a first model on a plain folder, in one process."""

import argparse
import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import LOOK, Answer, WrongCall, paragraph, progress, shown, table
from stillgood.cli.main import add_verb
from stillgood.cli.place import Place

if TYPE_CHECKING:
    from stillgood.training.drafting import DraftedFile

_SAMPLE = 5
_REASONS = 3
_NOTES = 10


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "try",
        run,
        help=about,
        examples=[
            "try customers.csv --target churn --positive Yes",
            "try loans.csv --target default --positive 1 --id loan --time issued --store ./loans",
        ],
    )
    parser.add_argument("rows", type=Path, metavar="FILE", help="labelled rows, one a customer")
    parser.add_argument("--target", required=True, help="the outcome column")
    parser.add_argument("--positive", required=True, help="its value that is predicted")
    parser.add_argument("--id", help="the column that names the entity")
    parser.add_argument("--time", help="the column that says when the row was true")
    parser.add_argument("--keep", action="append", default=[], help="keep a column that gives the outcome away")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where everything goes; ./<name>.stillgood by default"
    )


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.cli.drafting import draft_file
    from stillgood.cli.verbs.train import train, upload
    from stillgood.storage.folder import FolderObjectStore
    from stillgood.storage.registry import Registry

    path: Path = arguments.rows
    if not path.is_file():
        raise WrongCall(f"There is no file {path}; check the spelling, or the folder you are in.")
    with progress(f"reading {path.name} and drafting a contract"):
        drafted = draft_file(
            path,
            target=arguments.target,
            positive=arguments.positive,
            id_column=arguments.id,
            time_column=arguments.time,
            name=None,
            keep=arguments.keep,
        )
    root: Path = arguments.store or Path(f"{path.stem}.stillgood")
    contract = _contract_text(drafted)
    _check_free(root, contract)
    place = Place(FolderObjectStore(root), f"folder {root}", f"--store {root}")
    place.store.put("contract.json", contract)
    key = upload(place, path)
    digest = hashlib.sha256(contract + key.encode()).hexdigest()[:16]
    trained = train(place, f"stillgood try {path.name}", request_id=f"try {digest}")
    pointer = Registry(place.store).pointer()
    sample = _sample(place, str(trained.data["train"]["version"]))
    lines = [
        *_drafted(drafted, path),
        *_trained(trained),
        *_scored(sample),
        *_next(place, arguments, root, served=pointer is not None),
    ]
    data = {
        "store": str(root),
        "contract": drafted.contract,
        "notes": [note.to_dict() for note in drafted.notes],
        **trained.data,
        "serving": pointer.version if pointer else None,
        "sample": sample,
    }
    return Answer("\n".join(lines), data, 0 if pointer else LOOK)


def _contract_text(drafted: "DraftedFile") -> bytes:
    import json

    return (json.dumps(drafted.contract, indent=1, ensure_ascii=False) + "\n").encode()


def _check_free(root: Path, contract: bytes) -> None:
    """Raises WrongCall when the folder holds something that this run must not mix with."""
    there = root / "contract.json"
    same = there.is_file() and there.read_bytes() == contract
    if root.exists() and not same and (not root.is_dir() or any(root.iterdir())):
        raise WrongCall(
            f"{root} is there already and holds something else. Name another folder by --store, or remove it to start"
            " anew."
        )


def _drafted(drafted: "DraftedFile", path: Path) -> list[str]:
    contract = drafted.contract
    kinds: dict[str, list[str]] = {}
    for feature in contract["features"]:
        kinds.setdefault(feature["kind"], []).append(feature["name"])
    lines = [f"1  The contract: what a row of {path.name} is"]
    target = contract["target"]
    lines.append(
        f"   {drafted.rows:,} rows, {len(contract['features'])} features; predicted is {target['name']} ="
        f" {target['positive']}"
    )
    for kind, names in sorted(kinds.items()):
        lines += paragraph(", ".join(names), first=f"{kind:<12}", indent=3)
    if drafted.notes:
        lines += ["", "   What a person should look at"]
        for note in drafted.notes[:_NOTES]:
            lines += paragraph(str(note), first="- ", indent=3)
        if len(drafted.notes) > _NOTES:
            lines.append(f"   and {len(drafted.notes) - _NOTES} more; `stillgood contract draft` lists them all")
    return [*lines, ""]


def _trained(trained: Answer) -> list[str]:
    train = trained.data["train"]
    rows = train["rows"]
    refused = rows["refused_rows"] + rows["refused_objects"]
    lines = ["2  The first model", f"   {train['version']}: {rows['accepted']:,} rows used, {refused:,} refused"]
    lines += [f"     {count:,} by {rule}" for rule, count in rows["refused"].items()]
    lines += [f"     {count:,} mended or left out by {rule}" for rule, count in rows["repaired"].items() if count]
    figures = train["figures"]
    if figures:
        lines += table(
            [
                [
                    name,
                    f"{figures[key]:.3f}",
                    f"{figures[f'holdout_{key}']:.3f}" if f"holdout_{key}" in figures else "-",
                ]
                for name, key in (("ROC-AUC", "roc_auc"), ("recall", "recall"), ("precision", "precision"))
            ],
            head=["", "out of fold", "on the gate's rows"],
            indent=3,
        )
    lines += ["", "3  The gate: may it serve?"]
    for decision in trained.data["decisions"]:
        lines.append(f"   {decision['result']}, decision {decision['decision']}")
        for reason in decision["reasons"]:
            lines += paragraph(reason, first="- ", indent=3)
        for change in decision["would_change"]:
            lines += paragraph(f"would change it: {change}", first="> ", indent=3)
    return [*lines, ""]


def _sample(place: Place, version: str) -> list[dict[str, Any]]:
    """Some of the rows that the gate keeps, from the likeliest to the least likely, with the reasons of each."""
    import numpy as np

    from stillgood.domain.contract.row_check import CheckedRow
    from stillgood.domain.model.vectorised import logits
    from stillgood.domain.promotion.holdout import Holdout
    from stillgood.steps.predict import answer
    from stillgood.storage.artifacts import read_artifact
    from stillgood.storage.champion import read_model
    from stillgood.storage.codec import decode_any
    from stillgood.storage.keys import HOLDOUT, MODEL

    model = read_model(read_artifact(place.store, version, MODEL), MODEL, version)
    held = Holdout.from_dict(model.contract, decode_any(read_artifact(place.store, version, HOLDOUT), what=HOLDOUT))
    order = np.argsort(-logits(model, held.frame), kind="stable")
    sample = []
    for place_in_order in np.unique(np.linspace(0, len(order) - 1, _SAMPLE).round().astype(int)):
        index = int(order[place_in_order])
        values = held.frame.values(index)
        body = answer(model, CheckedRow(values, (), (), None, None), model.score(values), f"sample-{index}")
        target = model.contract.target
        sample.append(body | {"outcome": target.positive if held.target[index] else target.negative})
    return sample


def _scored(sample: list[dict[str, Any]]) -> list[str]:
    lines = ["4  Five of the customers, from the likeliest to the least"]
    for customer in sample:
        flag = "flagged" if customer["decision"] else "not flagged"
        lines.append(f"   {customer['probability']:.3f}  {flag}; what came of it: {customer['outcome']}")
        lines += paragraph(
            ", ".join(_reason(reason) for reason in customer["reasons"][:_REASONS]), first="because ", indent=10
        )
    return [*lines, ""]


def _reason(reason: Mapping[str, Any]) -> str:
    return f"{reason['feature']} {shown(reason['value'])} ({reason['contribution']:+.2f})"


def _next(place: Place, arguments: argparse.Namespace, root: Path, *, served: bool) -> list[str]:
    option = place.option
    lines = ["5  What to do next"]
    steps = [[f"look at {root}/contract.json and correct it", f"stillgood contract apply contract.json {option}"]]
    if served:
        steps += [
            ["score today's customers", f"stillgood predict today.csv {option}"],
            ["watch them", f"stillgood monitor {option}"],
            ["bring outcomes in", f"stillgood labels add outcomes.csv {option}"],
            ["see how it is", f"stillgood status {option}"],
        ]
    else:
        steps += [
            ["when the floors or the data are changed", f"stillgood train {option}"],
            ["why it was refused", f"stillgood decisions {option}"],
        ]
    steps.append(
        [
            "the same on an embedded cloud",
            (
                f"make up DATA={arguments.rows} TARGET={shlex.quote(arguments.target)}"
                f" POSITIVE={shlex.quote(arguments.positive)}"
            ),
        ]
    )
    return lines + table(steps, indent=3)

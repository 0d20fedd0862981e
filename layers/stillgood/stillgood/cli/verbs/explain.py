"""explain: one row's reasons as a waterfall from the average customer to the probability."""

import argparse
import json
from pathlib import Path
from typing import Any

from stillgood.cli.console import Answer, WrongCall, shown
from stillgood.cli.main import add_verb
from stillgood.cli.place import Place, add_place, find_place

_BAR = 24


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "explain",
        run,
        help=about,
        examples=[
            "explain today.csv --row 3 --store ./customers.stillgood",
            "explain --prediction 6f0c2c1e-... --bucket my-models",
        ],
    )
    parser.add_argument("rows", type=Path, nargs="?", metavar="FILE")
    parser.add_argument("--row", type=int, default=1, metavar="N", help="which row of the file, from 1")
    parser.add_argument("--prediction", metavar="ID", help="a captured prediction instead, by the model that made it")
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    place = find_place(arguments)
    if (arguments.rows is None) == (arguments.prediction is None):
        raise WrongCall("Name a file (and --row N), or --prediction ID.")
    if arguments.prediction is not None:
        return captured(place, arguments.prediction)
    from itertools import islice

    from stillgood.cli.files import is_text, rows
    from stillgood.domain.errors import InvalidRows
    from stillgood.steps.score_rows import score_rows

    serving = place.steps.serving(capture=False)
    contract = serving.champions.current().model.contract
    raw = next(islice(rows(arguments.rows, contract), arguments.row - 1, None), None) if arguments.row > 0 else None
    if raw is None:
        raise WrongCall(f"{arguments.rows.name} has no row {arguments.row}; rows count from 1, without the header.")
    (one,) = score_rows([raw], serving, text=is_text(arguments.rows))
    if one.answer is None:
        detail = "; ".join(str(violation["message"]) for violation in one.violations)
        raise InvalidRows(f"Row {arguments.row} breaks the contract: {detail}", one.violations, 1)
    calibration = serving.champions.current().model.calibration
    return Answer("\n".join(waterfall(one.answer, calibration.slope, calibration.intercept)), one.answer)


def captured(place: Place, prediction_id: str) -> Answer:
    """The same answer again, from the capture and the model that made it. Reads captures from the newest back."""
    from stillgood.domain.contract.row_check import CheckedRow
    from stillgood.steps.predict import answer
    from stillgood.storage.artifacts import read_artifact
    from stillgood.storage.champion import read_model
    from stillgood.storage.keys import CAPTURE_PREFIX, MODEL, artifact_key

    wanted = prediction_id.encode()
    for info in sorted(place.store.list(CAPTURE_PREFIX), key=lambda one: one.key, reverse=True):
        data = place.store.get(info.key).data
        if wanted not in data:
            continue
        for line in data.splitlines():
            record = json.loads(line)
            if record.get("prediction_id") != prediction_id:
                continue
            version = str(record["model"])
            model = read_model(read_artifact(place.store, version, MODEL), artifact_key(version, MODEL), version)
            missing = [one.name for one in model.contract.features if one.name not in record["features"]]
            if missing:
                raise WrongCall(
                    f"{', '.join(missing)} is personal data and was not captured, so this prediction cannot be"
                    " explained again."
                )
            row = CheckedRow(dict(record["features"]), (), (), record["entity_id"], None)
            again = answer(model, row, model.score(row.values), prediction_id) | {"time": record["time"]}
            lines = [f"made at {record['time']} by {version}", ""]
            lines += waterfall(again, model.calibration.slope, model.calibration.intercept)
            return Answer("\n".join(lines), again)
    raise WrongCall(f"No captured prediction has the id {prediction_id}.")


def waterfall(answer: Any, slope: float, intercept: float) -> list[str]:
    """From the average row by each reason to the logit, and by the calibration to the probability."""
    steps = [(f"{one['feature']} = {shown(one['value'])}", float(one["contribution"])) for one in answer["reasons"]]
    calibrated = slope * float(answer["logit"]) + intercept
    width = max(len("the average row"), *(len(name) for name, _ in steps))
    largest = max((abs(added) for _, added in steps), default=0.0) or 1.0
    lines = [f"{'the average row':<{width}}  {answer['baseline']:+8.3f}"]
    for name, added in steps:
        bar = ("+" if added > 0 else "-") * round(_BAR * abs(added) / largest)
        lines.append(f"{name:<{width}}  {added:+8.3f}  {bar}".rstrip())
    lines.append(f"{'adds up to':<{width}}  {answer['logit']:+8.3f}")
    lines.append(
        f"{'calibrated':<{width}}  {calibrated:+8.3f}  ({slope:.3f} x {answer['logit']:+.3f} {intercept:+.3f})"
    )
    flag = "flagged" if answer["decision"] else "not flagged"
    lines.append(
        f"{'probability':<{width}}  {answer['probability']:8.3f}  {flag}: the threshold is {answer['threshold']:.3f}"
    )
    return lines

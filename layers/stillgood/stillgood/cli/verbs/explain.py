"""explain: one row's reasons as a waterfall from the average customer to the probability."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import LOOK, WELL, Answer, WrongCall, shown
from stillgood.cli.main import add_verb
from stillgood.cli.place import Place, add_place, find_place

if TYPE_CHECKING:
    from stillgood.domain.model.model import Model

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
            "explain today.csv --row 3 --change --store ./customers.stillgood",
        ],
    )
    parser.add_argument("rows", type=Path, nargs="?", metavar="FILE")
    parser.add_argument("--row", type=int, default=1, metavar="N", help="which row of the file, from 1")
    parser.add_argument("--prediction", metavar="ID", help="a captured prediction instead, by the model that made it")
    parser.add_argument(
        "--change",
        action="store_true",
        help="the smallest changes that turn it, of what may_change allows",
    )
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    place = find_place(arguments)
    if (arguments.rows is None) == (arguments.prediction is None):
        raise WrongCall("Name a file (and --row N), or --prediction ID.")
    if arguments.prediction is not None:
        return captured(place, arguments.prediction, change=arguments.change)
    from itertools import islice

    from stillgood.cli.files import is_text, rows
    from stillgood.domain.errors import InvalidRows
    from stillgood.steps.score_rows import score_rows

    serving = place.steps.serving(capture=False)
    contract = serving.champions.current().model.contract
    raw = next(islice(rows(arguments.rows, contract), arguments.row - 1, None), None) if arguments.row > 0 else None
    if raw is None:
        raise WrongCall(f"{arguments.rows.name} has no row {arguments.row}; rows count from 1, without the header.")
    (scored,) = score_rows([raw], serving, text=is_text(arguments.rows))
    if scored.answer is None:
        detail = "; ".join(str(violation["message"]) for violation in scored.violations)
        raise InvalidRows(f"Row {arguments.row} breaks the contract: {detail}", scored.violations, 1)
    model = serving.champions.current().model
    lines, data = waterfall(scored.answer, model), dict(scored.answer)
    if arguments.change:
        from stillgood.domain.contract.row_check import RowChecker

        row = RowChecker(contract).check(raw, text=is_text(arguments.rows), extra="ignore")
        sentences, data["changes"] = how_it_would_change(place, model, row.values)
        lines += ["", *sentences]
    return Answer("\n".join(lines), data)


def how_it_would_change(
    place: Place, model: "Model", values: Mapping[str, Any]
) -> tuple[list[str], list[dict[str, Any]]]:
    """In words and as data: the smallest turning change of each allowed feature, and the smallest of two."""
    from stillgood.domain.model.counterfactual import flips
    from stillgood.storage.contract import contract_in_force

    allowed = contract_in_force(place.store).may_change
    if not allowed:
        raise WrongCall(
            'The contract allows no change; say which features a person could change, such as "may_change": {"tenure":'
            ' "increasing"}, and put it in force by `stillgood contract apply`.'
        )
    ones, two = flips(model, values, allowed)
    turning = [*ones, *([two] if two is not None else [])]
    sent = model.as_sent

    def value(name: str, content: Any) -> Any:
        return sent[name](content) if name in sent else content

    data: list[dict[str, Any]] = [
        {
            "changes": [
                {"feature": (n := c.feature), "from": value(n, c.before), "to": value(n, c.after), "size": c.size}
                for c in flip.changes
            ],
            "size": flip.size,
            "probability": flip.probability,
            "decision": flip.decision,
        }
        for flip in turning
    ]
    lines = ["how the answer would change, the smallest change first"]
    for turn in data:
        said = " and ".join(f"{c['feature']} {shown(c['from'])} -> {shown(c['to'])}" for c in turn["changes"])
        flag = "flagged" if turn["decision"] else "not flagged"
        lines.append(f"  {said}: {flag}, probability {turn['probability']:.3f}")
    if not ones:
        lines.append(f"  no change of {', '.join(allowed)} alone, within the contract's limits")
    if two is None and len(allowed) > 1:
        lines.append("  no two of them turn it together where neither does alone")
    return lines, data


def captured(place: Place, prediction_id: str, *, change: bool = False) -> Answer:
    """The same answer again, from the capture and the model that made it."""
    from stillgood.steps.explain import explain

    explained = explain(place.store, prediction_id)
    if explained is None:
        raise WrongCall(f"No captured prediction has the id {prediction_id}; a capture may have expired.")
    point = f", operating point {explained.model.operating_point}" if explained.model.operating_point else ""
    lines = [
        f"made at {explained.time} by {explained.model.version}{point}",
        "",
        *waterfall(explained.body, explained.model),
    ]
    changed = "NOT what was answered: the capture or the model was changed since; `stillgood audit --replay all` looks"
    lines += ["", "the same, bit for bit, as was answered" if explained.same else changed]
    data = {**explained.body, "time": explained.time, "same": explained.same}
    if change:
        sentences, data["changes"] = how_it_would_change(place, explained.model, explained.row.values)
        lines += ["", *sentences]
    return Answer("\n".join(lines), data, WELL if explained.same else LOOK)


def waterfall(answer: Mapping[str, Any], model: "Model") -> list[str]:
    """From the average row by each reason to the logit, and by the calibration, a step of its own, to the
    probability.
    """
    slope, intercept = model.calibration.slope, model.calibration.intercept
    steps = [
        (f"{reason['feature']} = {shown(reason['value'])}", float(reason["contribution"]))
        for reason in answer["reasons"]
    ]
    width = max(len("the average row"), *(len(name) for name, _ in steps))
    largest = max((abs(added) for _, added in steps), default=0.0) or 1.0
    lines = [f"{'the average row':<{width}}  {answer['baseline']:+8.3f}"]
    for name, added in steps:
        bar = ("+" if added > 0 else "-") * round(_BAR * abs(added) / largest)
        lines.append(f"{name:<{width}}  {added:+8.3f}  {bar}".rstrip())
    calibrated = float(answer["logit"]) + float(answer["calibration"])
    lines += [
        f"{'adds up to':<{width}}  {answer['logit']:+8.3f}",
        f"{'calibration':<{width}}  {answer['calibration']:+8.3f}  (to {slope:.3f} x {answer['logit']:+.3f}"
        f" {intercept:+.3f}: frequencies, not balanced classes)",
        f"{'the logit of':<{width}}  {calibrated:+8.3f}",
    ]
    flag = "flagged" if answer["decision"] else "not flagged"
    lines.append(
        f"{'probability':<{width}}  {answer['probability']:8.3f}  {flag}: the threshold is {answer['threshold']:.3f}"
    )
    return lines

"""status: what serves and since when, the worst finding first, the last windows, and what waits for whom."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import ACT, LOOK, WELL, Answer, estimate, paragraph, table
from stillgood.cli.main import add_verb
from stillgood.cli.place import Place, add_place, find_place

if TYPE_CHECKING:
    from stillgood.domain.model.model import Model
    from stillgood.domain.promotion.orders import Orders, Said
    from stillgood.storage.objects import ObjectStore

_WINDOWS = 5
_WORDS = {WELL: "well", LOOK: "look", ACT: "act"}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "status",
        run,
        help=about,
        examples=["status --store ./customers.stillgood", "status --bucket my-models || echo 'go and see'"],
    )
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    place = find_place(arguments)
    data = status(place)
    lines = [f"{data['says']}: {place.name}"]
    for finding in data["findings"]:
        lines += paragraph(finding["what"], first=f"{_WORDS[finding['status']]:<5} ")
    champion = data["champion"]
    if champion is not None:
        lines += [
            "",
            (
                f"serving   {champion['version']} since {champion['promoted_at']}, generation {champion['generation']},"
                f" decision {champion['decision']}"
            ),
        ]
        metrics = champion["metrics"]
        promised = ", ".join(
            f"{name} {estimate(metrics.get(key))}"
            for name, key in (("ROC-AUC", "roc_auc"), ("recall", "recall"), ("precision", "precision"))
        )
        lines.append(f"promised  {promised}")
    if (point := data["operating_point"]) is not None:
        from stillgood.cli.verbs.report import of_point

        lines += of_point(point)
    if data["action"] is not None:
        lines += paragraph(data["action"], first="action    ")
    if data["windows"]:
        lines += ["", "last windows"]
        lines += table(
            [
                [one["end"], one["rows"], one["refused"], one["action"], ", ".join(one["drifted"][:3]) or "-"]
                for one in data["windows"]
            ],
            head=["until", "rows", "refused", "found", "drifted"],
        )
    waits = data["waits"]
    if waits:
        lines += ["", "waits"]
        for one in waits:
            lines += paragraph(one, first="- ")
    return Answer("\n".join(lines), data, data["status"])


def status(place: Place) -> dict[str, Any]:
    """Everything that ``status`` says, JSON-able; ``status`` is the exit code."""
    from stillgood.domain.errors import DocumentUnusable, InvalidEvent, StillgoodError
    from stillgood.storage.champion import load_model
    from stillgood.storage.contract import contract_in_force
    from stillgood.storage.keys import DATA_PREFIX, QUARANTINE_PREFIX
    from stillgood.storage.registry import Registry
    from stillgood.storage.windows import read_report, reports

    store = place.store
    findings: list[dict[str, Any]] = []
    waits: list[str] = []
    pointer, model, contract = None, None, None
    try:
        pointer = Registry(store).pointer()
        model = load_model(store, pointer) if pointer else None
    except DocumentUnusable as error:
        findings.append({"status": ACT, "what": error.detail})
    try:
        contract = contract_in_force(store)
    except InvalidEvent:
        findings.append(
            {
                "status": ACT,
                "what": (
                    "There is no contract; draft one by `stillgood contract draft` and put it in force by `stillgood"
                    " contract apply`."
                ),
            }
        )
    except StillgoodError as error:
        findings.append({"status": ACT, "what": error.detail})
    if pointer is None and not findings:
        findings.append(
            {
                "status": ACT,
                "what": (
                    "Nothing serves yet; `stillgood train` learns from the labelled rows, `stillgood decisions` says"
                    " why a version was refused."
                ),
            }
        )
    if model is not None and contract is not None and model.contract.sha256 != contract.sha256:
        waits.append(
            "The contract in force is not the champion's: the next training learns by it (`stillgood contract diff`)."
        )
    orders = _orders(store)
    if (mode := orders.mode) is not None and mode.mode != "automatic":
        waits.append(f"The mode is {mode.mode} since {mode.said.since}{_by(mode.said)}: {mode.said.because}")
    waits += [
        f"Decision {case.n} asks whether to {case.kind} {case.candidate}; `stillgood approve {case.n}` or `stillgood"
        f" refuse {case.n}` until {case.expires}."
        for case in orders.waiting
    ]
    if (held := orders.hold) is not None:
        said = held.said
        waits.append(
            f"Automatic promotions are held since decision {said.decision}, {said.since}{_by(said)}: {said.because}"
            " `stillgood release` lets them go on."
        )
    windows = [report for window in list(reports(store))[-_WINDOWS:] if (report := read_report(store, window))][::-1]
    if windows:
        findings += _of_window(windows[0])
    elif pointer is not None:
        waits.append("No window was judged yet; `stillgood monitor` judges the one that ends now.")
    if pointer is not None and not any(store.list(DATA_PREFIX)):
        waits.append("There are no labelled rows under data/ to learn from.")
    if refused := sum(1 for _ in store.list(QUARANTINE_PREFIX)):
        waits.append(f"{refused} objects of refused rows wait to be mended (`stillgood quarantine list`).")
    worst = max((one["status"] for one in findings), default=WELL)
    return {
        "status": worst,
        "says": {WELL: "well", LOOK: "have a look", ACT: "act"}[worst],
        "champion": pointer.to_dict() if pointer else None,
        "operating_point": next((one["operating_point"] for one in windows if one.get("operating_point")), None),
        "action": _action(store, model),
        "findings": sorted(findings, key=lambda one: -int(one["status"])),
        "windows": [_window(one) for one in windows],
        "waits": waits + _labels(windows),
    }


def _action(store: "ObjectStore", model: "Model | None") -> str | None:
    """What the action on flagged customers is worth, in a sentence; None where the contract declares none."""
    if model is None or model.contract.control is None:
        return None
    from stillgood.steps.value import value

    return str(value(store, model.contract, datetime.now(UTC))["sentence"])


def _orders(store: "ObjectStore") -> "Orders":
    """What people ordered, and what waits for them."""
    from stillgood.storage.registry import Registry

    return Registry(store).orders_now()


def _by(said: "Said") -> str:
    return f" by {said.by}" if said.by else ""


def _of_window(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    action = report["decision"]["action"]
    if action in ("nothing", "none"):
        return []
    what = "; ".join(map(str, report["decision"]["reasons"][:3]))
    return [{"status": LOOK, "what": f"{action} in the window until {report['window']['end']}: {what}"}]


def _window(report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": report["window"]["id"],
        "end": report["window"]["end"],
        "rows": report["rows"],
        "refused": report["contract"]["refused"],
        "action": report["decision"]["action"],
        "drifted": list((report.get("drift") or {}).get("drifted", ())),
        "realised": report.get("realised_performance"),
    }


def _labels(windows: list[dict[str, Any]]) -> list[str]:
    labels = windows[0].get("labels") if windows else None
    if not labels or not labels.get("predictions"):
        return []
    missing = int(labels["predictions"]) - int(labels.get("labelled", 0))
    return [f"{missing} of {labels['predictions']} matured predictions have no label."] if missing else []

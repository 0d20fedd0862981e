"""status: is anything wrong? The same lines in the same order as GET /status and the overview page, then the last
windows.
"""

import argparse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import ACT, LOOK, WELL, Answer, estimate, paragraph, table
from stillgood.cli.main import add_verb
from stillgood.cli.place import Place, add_place, find_place

if TYPE_CHECKING:
    from stillgood.domain.model.model import Model
    from stillgood.domain.promotion.decision import Pointer
    from stillgood.storage.objects import ObjectStore

_WINDOWS = 5
_READ = 48  # reports: a day of windows of half an hour, for the cost of the last day
_LOOKED_BACK = 200  # decisions since a promotion
_WIDE = 48  # characters of a column
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
    lines = [f"{data['says']}: {place.name}", ""]
    for line in data["lines"]:
        word = _WORDS[line["level"]] if line["topic"] == "finding" else line["topic"]
        lines += paragraph(line["text"], first=f"{word:<9} ", indent=0, width=120)
    champion = data["champion"]
    if champion is not None:
        metrics = champion["metrics"]
        promised = ", ".join(
            f"{name} {estimate(metrics.get(key))}"
            for name, key in (("ROC-AUC", "roc_auc"), ("recall", "recall"), ("precision", "precision"))
        )
        lines += ["", f"promised  {promised}"]
    if (point := data["operating_point"]) is not None:
        from stillgood.cli.verbs.report import of_point

        lines += of_point(point)
    if data["action"] is not None:
        lines += paragraph(data["action"], first="action    ")
    if data["windows"]:
        lines += ["", "last windows"]
        lines += table(
            [
                [window["end"], window["rows"], window["refused"], _short(window["found"]), _short(window["done"])]
                for window in data["windows"]
            ],
            head=["until", "rows", "refused", "found", "done"],
        )
    return Answer("\n".join(lines), data, data["status"])


def status(place: Place) -> dict[str, Any]:
    """Everything that ``status`` says, JSON-able; ``status`` is the exit code, ``lines`` what GET /status says too."""
    from stillgood.domain.errors import DocumentUnusable, InvalidEvent, StillgoodError
    from stillgood.domain.policy.summary import WORDS, summarise, worst
    from stillgood.pages.overview import window_row
    from stillgood.storage.champion import load_model
    from stillgood.storage.contract import contract_in_force
    from stillgood.storage.keys import DATA_PREFIX, QUARANTINE_PREFIX
    from stillgood.storage.registry import Registry
    from stillgood.storage.whole import lacks
    from stillgood.storage.windows import read_report, reports

    store = place.store
    troubles: list[tuple[int, str]] = []
    waits: list[str] = []
    pointer, model, contract = None, None, None
    try:
        pointer = Registry(store).pointer()
        model = load_model(store, pointer) if pointer else None
    except DocumentUnusable as error:
        troubles.append((ACT, error.detail))
    try:
        contract = contract_in_force(store)
    except InvalidEvent:
        troubles.append(
            (
                ACT,
                "There is no contract; draft one by `stillgood contract draft` and put it in force by `stillgood"
                " contract apply`.",
            )
        )
    except StillgoodError as error:
        troubles.append((ACT, error.detail))
    troubles += [(ACT, line) for line in lacks(store, pointer)]
    if pointer is None and not troubles:
        troubles.append(
            (
                ACT,
                "Nothing serves yet; `stillgood train` learns from the labelled rows, `stillgood decisions` says why a"
                " version was refused.",
            )
        )
    if model is not None and contract is not None and model.contract.sha256 != contract.sha256:
        waits.append(
            "The contract in force is not the champion's: the next training learns by it (`stillgood contract diff`)."
        )
    if pointer is not None and not any(store.list(DATA_PREFIX)):
        waits.append("There are no labelled rows under data/ to learn from.")
    if refused := sum(1 for _ in store.list(QUARANTINE_PREFIX)):
        waits.append(f"{refused} objects of refused rows wait to be mended (`stillgood quarantine list`).")
    newest = sorted(list(reports(store))[-_READ:], key=lambda window: window.end)  # as the overview has them
    stored = [report for window in newest if (report := read_report(store, window))]
    windows = [window_row(report) for report in stored]
    lines = summarise(
        {"windows": windows, "orders": _orders(store)},
        serving=_serving(store, pointer),
        now=datetime.now(UTC),
        troubles=troubles,
        waits=waits,
        scheduled=not place.option.startswith("--store"),
    )
    level = worst(lines)
    return {
        "status": level,
        "says": WORDS[level],
        "lines": [line.to_dict() for line in lines],
        "champion": pointer.to_dict() if pointer else None,
        "operating_point": stored[-1].get("operating_point") if stored else None,
        "action": _action(store, model),
        "findings": [{"status": line.level, "what": line.text} for line in lines if line.topic == "finding"],
        "windows": windows[: -_WINDOWS - 1 : -1],
        "waits": [line.text for line in lines if line.topic in ("waits", "labels")],
    }


def _serving(store: "ObjectStore", pointer: "Pointer | None") -> dict[str, Any] | None:
    """What serves, the decision that made it champion, and the one that moved its operating point since."""
    if pointer is None:
        return None
    from stillgood.domain.policy.summary import put_in_force
    from stillgood.storage.artifacts import dates_of

    serves = put_in_force(pointer.version, pointer.promoted_at, pointer.decision, list(_tenure(store, pointer)))
    return {**serves, **dates_of(store, pointer.version)}


def _tenure(store: "ObjectStore", pointer: "Pointer") -> "Iterator[Mapping[str, Any]]":
    """The champion's decisions from the newest that changed the pointer back to its promotion; without moves, one."""
    from stillgood.domain.errors import StillgoodError
    from stillgood.storage.registry import Registry

    for n in range(pointer.decision, max(pointer.decision - _LOOKED_BACK, 0), -1):
        try:
            decision = Registry(store).decision(n)
        except StillgoodError:  # the audit tells of a log with holes
            return
        after = decision.pointer_after
        yield {"n": n, "at": decision.at, "version": after.version if after else None}
        if decision.at == pointer.promoted_at:
            return


def _action(store: "ObjectStore", model: "Model | None") -> str | None:
    """What the action on flagged customers is worth, in a sentence; None where the contract declares none."""
    if model is None or model.contract.control is None:
        return None
    from stillgood.steps.value import value

    return str(value(store, model.contract, datetime.now(UTC))["sentence"])


def _orders(store: "ObjectStore") -> dict[str, Any]:
    """What people ordered, and what waits for them, as the overview keeps it."""
    from stillgood.storage.registry import Registry

    return dict(Registry(store).orders_now().to_dict())


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1].rstrip()}…"

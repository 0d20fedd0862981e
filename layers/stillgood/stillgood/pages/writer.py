"""Writes the pages of what a step made, from the stored documents alone, so that any page can be made again later."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stillgood.domain.drift.examples import Example, examples
from stillgood.domain.drift.reference import Reference
from stillgood.domain.errors import ObjectNotFound, StillgoodError
from stillgood.domain.model.curves import calibration_table, threshold_table
from stillgood.domain.model.model import Model
from stillgood.domain.promotion.by_slice import by_slice
from stillgood.domain.promotion.decision import Decision
from stillgood.pages import overview
from stillgood.pages.acted import action_page
from stillgood.pages.decision import decision_page
from stillgood.pages.model import model_page
from stillgood.pages.window import window_page
from stillgood.steps.promote.gather import recorded
from stillgood.steps.value import value
from stillgood.storage.artifacts import dates_of
from stillgood.storage.champion import load_model
from stillgood.storage.codec import decode, decode_any, encode
from stillgood.storage.keys import (
    ACTION_PAGE,
    CONTRACT_KEY,
    INDEX_PAGE,
    METRICS,
    MODEL,
    OVERVIEW_KEY,
    PAGES_PREFIX,
    REFERENCE,
    artifact_key,
    decision_page_key,
    model_page_key,
    window_page_key,
)
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, read_versions, reports


def write_pages(store: ObjectStore, answer: Mapping[str, Any]) -> None:
    """The pages of what a step answered: a judged window, a decision, or a version. Raises ObjectNotFound,
    ModelUnusable.
    """
    if answer.get("report") is not None:
        write_window(store, str(answer["window"]))
    elif answer.get("decision") is not None:
        write_decision(store, int(answer["decision"]))
    elif answer.get("step") == "train":
        write_model(store, str(answer["version"]))


def write_window(store: ObjectStore, window_id: str) -> str:
    """The page of a judged window by the newest version of its report, that of the action by the newest window's, and
    the overview by the first version, which was decided on. Returns the page's key. Raises ObjectNotFound without a
    report.
    """
    versions = read_versions(store, Window.from_id(window_id))
    if not versions:
        raise ObjectNotFound(f"Window {window_id} was not judged yet, so there is no page of it.")
    history = overview.with_window(_history(store), versions[0], _floors(store))
    if (worth := (versions[-1].get("labels") or {}).get("worth")) and window_id == history["windows"][-1]["id"]:
        store.put(ACTION_PAGE, action_page(worth))
        history = {**history, "action": history["windows"][-1]["end"]}
    _write_overview(store, history)
    return _put_window(store, versions[-1])


def write_decision(store: ObjectStore, n: int) -> str:
    """The page of decision ``n``, and the overview with it. Returns the page's key. Raises ObjectNotFound,
    ModelUnusable.
    """
    decision = Registry(store).decision(n)
    _write_overview(store, overview.with_decision(_history(store), decision.to_dict(), _dates(store, decision)))
    return _put_decision(store, store, decision)


def write_model(store: ObjectStore, version: str, into: ObjectStore | None = None) -> str:
    """The page of a version, in ``into`` (by default ``store``). Returns its key. Raises ObjectNotFound,
    ModelUnusable.
    """
    model, metrics = (
        decode_any(store.get(artifact_key(version, name)).data, what=artifact_key(version, name))
        for name in (MODEL, METRICS)
    )
    page = model_page(model, metrics, _examples(store, model, version))
    (store if into is None else into).put(model_page_key(version), page)
    return model_page_key(version)


def _examples(store: ObjectStore, model: Mapping[str, Any], version: str) -> tuple[Example, ...]:
    """Rows of the version's reference with their reasons; none where an old or damaged version cannot give them."""
    try:
        raw = decode_any(store.get(artifact_key(version, REFERENCE)).data, what=REFERENCE)
        return examples(Model.from_dict(model), Reference.from_dict(raw))
    except (StillgoodError, KeyError, TypeError, ValueError):
        return ()


def write_all(store: ObjectStore, into: ObjectStore | None = None) -> list[str]:
    """Every page anew, from ``store`` into ``into`` (by default the same): after an upgrade, or to look at them
    elsewhere.
    """
    into = store if into is None else into
    history, floors = overview.empty(), _floors(store)
    written, models = list[str](), set[str]()
    for decision in Registry(store).decisions():
        written.append(_put_decision(store, into, decision))
        history = overview.with_decision(history, decision.to_dict(), _dates(store, decision))
        if decision.candidate is not None:
            models.add(decision.candidate)
    written += [write_model(store, version, into) for version in sorted(models)]
    for window in reports(store):
        if versions := read_versions(store, window):
            written.append(_put_window(into, versions[-1]))
            history = overview.with_window(history, versions[0], floors)
    written += (action := _write_action(store, into))
    _write_overview(into, {**history, "action": history["windows"][-1]["end"]} if action else history)
    return written


def _write_action(store: ObjectStore, into: ObjectStore) -> list[str]:
    """The page of the action as of the newest window, where the champion's contract declares one; its key."""
    pointer, windows = Registry(store).pointer(), list(reports(store))
    contract = None if pointer is None else load_model(store, pointer).contract
    if contract is None or contract.control is None or not windows:
        return []
    into.put(ACTION_PAGE, action_page(value(store, contract, windows[-1].end, slices=True)))
    return [ACTION_PAGE]


def write_out(store: ObjectStore, folder: Path) -> int:
    """The pages that ``store`` holds as files under ``folder``, index.html first. Returns how many."""
    count = 0
    for info in store.list(PAGES_PREFIX):
        target = folder / info.key.removeprefix(PAGES_PREFIX)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.get(info.key).data)
        count += 1
    return count


def _put_window(into: ObjectStore, report: Mapping[str, Any]) -> str:
    key = window_page_key(report["window"]["id"])
    into.put(key, window_page(report))
    return key


def _put_decision(store: ObjectStore, into: ObjectStore, decision: Decision) -> str:
    key = decision_page_key(decision.n)
    into.put(key, decision_page(decision.to_dict(), curves(store, decision)))
    return key


def curves(store: ObjectStore, decision: Decision) -> dict[str, Any]:
    """Both models' curves, and their figures by slice ("slices"), on the rows that the decision was made on; empty
    where there are none (a rollback), or one is gone.
    """
    try:
        made_from = recorded(store, decision.inputs)
        # As the gate saw them: where it was cross-fitted, each row is scored by models that had not seen it.
        whole = made_from.folds is None or "gate_version" not in decision.figures
        case = made_from.case(0) if whole else made_from.cross_fitted(0, None)
        sides = {"candidate": case.candidate, "champion": case.champion}
        return {
            role: {
                "thresholds": threshold_table(scores.probabilities, case.y),
                "calibration": calibration_table(scores.probabilities, case.y),
            }
            for role, scores in sides.items()
            if scores is not None
        } | {"slices": by_slice(case.segments, case.y, sides)}
    except (StillgoodError, KeyError, TypeError, ValueError, IndexError):
        return {}  # an input is gone, damaged, or of another contract; the record alone still makes a page


def _dates(store: ObjectStore, decision: Decision) -> dict[str, str]:
    return {} if decision.pointer_after is None else dates_of(store, decision.pointer_after.version)


def _history(store: ObjectStore) -> Mapping[str, Any]:
    try:
        return decode(store.get(OVERVIEW_KEY).data, format=overview.FORMAT, what=OVERVIEW_KEY)
    except StillgoodError:
        return overview.empty()


def _write_overview(store: ObjectStore, history: Mapping[str, Any]) -> None:
    store.put(OVERVIEW_KEY, encode(history))
    store.put(INDEX_PAGE, overview.overview_page(history))


def _floors(store: ObjectStore) -> dict[str, float]:
    try:
        floors = decode_any(store.get(CONTRACT_KEY).data, what=CONTRACT_KEY).get("floors") or {}
    except StillgoodError:
        return {}
    return {name: float(value) for name, value in floors.items() if isinstance(value, int | float)}

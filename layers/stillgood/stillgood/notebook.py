"""The verbs for notebooks: DataFrames in, DataFrames out, over a folder or any other store. ``import stillgood`` offers
them.

``store`` is a path (a plain folder, made when it is not there) or an ObjectStore, such as
``Boto3ObjectStore("my-bucket")``.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pandas as pd

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame, concat
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import ContractInvalid, InvalidRows
from stillgood.storage.champion import Champion
from stillgood.storage.codec import sha256
from stillgood.storage.contract import contract_in_force
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.keys import CONTRACT_KEY, DATA_PREFIX
from stillgood.storage.objects import ObjectStore
from stillgood.storage.overlay import OverlayObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import iso
from stillgood.wiring.in_process import InProcess, now

if TYPE_CHECKING:
    from stillgood.simulation.rehearsal.history import FirstDraft
    from stillgood.simulation.rehearsal.rehearse import Rehearsal

type Where = str | os.PathLike[str] | ObjectStore
type ContractData = Mapping[str, Any] | Contract

FIGURES = ("roc_auc", "recall", "precision", "f1", "brier")


@dataclass(frozen=True, slots=True)
class Drafted:
    """``contract`` is JSON data to be corrected and passed on; ``notes`` says what a person should look at."""

    contract: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """``result`` is "trained" or "skipped"; ``figures`` has a row a metric, out of fold and on the holdout;
    ``decision`` is the gate's.
    """

    version: str
    result: str
    figures: pd.DataFrame
    decision: Mapping[str, Any]

    @property
    def promoted(self) -> bool:
        return bool(self.decision["result"] == "promoted")


def draft(
    rows: pd.DataFrame,
    *,
    target: str,
    positive: str,
    id: str | None = None,
    time: str | None = None,
    name: str = "draft",
) -> Drafted:
    """A first contract for labelled ``rows``. Raises ContractInvalid, which names the column and what to do about
    it.
    """
    from stillgood.cli.drafting import draft_file

    with _as_file(rows, name) as path:
        made = draft_file(path, target=target, positive=positive, id_column=id, time_column=time, name=name)
    return Drafted(made.contract, tuple(map(str, made.notes)))


def train(
    store: Where,
    rows: pd.DataFrame | None = None,
    *,
    contract: ContractData | None = None,
    because: str = "asked in a notebook",
) -> Trained:
    """Add labelled ``rows`` to the store, put ``contract`` in force if one is given, fit a candidate, and let the gate
    judge it.

    Raises InvalidEvent without a contract, ContractInvalid, TooFewRows, OneClassOnly.
    """
    place = _store(store)
    if contract is not None:
        data = contract.to_dict() if isinstance(contract, Contract) else dict(contract)
        read_contract(data)
        place.put(CONTRACT_KEY, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())
    if rows is not None:
        text = _csv(rows)
        digest = sha256(text)[:12]
        if not any(info.key.endswith(f"-{digest}.csv") for info in place.list(DATA_PREFIX)):
            place.create(f"{DATA_PREFIX}{now():%Y-%m-%d}/rows-{digest}.csv", text)
    event = {"request_id": f"notebook {uuid4()}", "reason": because, "window": None}
    trained, decision = InProcess(place).run("train", event)
    figures = trained["figures"] or {}
    table = pd.DataFrame(
        {
            "out_of_fold": [figures.get(metric) for metric in FIGURES],
            "holdout": [figures.get(f"holdout_{metric}") for metric in FIGURES],
        },
        index=pd.Index(FIGURES, name="metric"),
        dtype=float,
    )
    return Trained(str(trained["version"]), str(trained["result"]), table, decision)


def gate(store: Where, version: str) -> dict[str, Any]:
    """What the gate would say of ``version`` now; nothing is recorded. Raises UnknownVersion."""
    return promote(OverlayObjectStore(_store(store)), version)


def promote(store: Where, version: str) -> dict[str, Any]:
    """Let the gate judge ``version``, and promote it if it may serve. Raises UnknownVersion."""
    event = {"action": "promote", "candidate": version, "request_id": f"notebook {uuid4()}"}
    return InProcess(_store(store)).run("promote", event)[0]


def rehearse(
    history: pd.DataFrame,
    contract: "ContractData | FirstDraft",
    *,
    pages: str | Path | None = None,
    tuned: bool = False,
    **plan: Any,
) -> "Rehearsal":
    """Play a dated table through the whole loop, policy by policy; ``contract`` may be a ``FirstDraft``. ``plan`` are
    the fields of ``simulation.rehearsal.plan.Plan``: window_days, label_delay_days, first, policies and so on.
    ``pages``: a folder to write pages into, index.html first. ``tuned``: compare a small grid of settings, too.

    The answer has ``policies``, ``windows``, ``decisions``, ``differences`` and ``alarms`` as DataFrames, and
    ``document``, whose "tuning" says what was chosen. Raises HistoryInvalid, which says what to mend, ContractInvalid,
    NotEnoughData.
    """
    from stillgood.simulation.rehearsal.plan import Plan
    from stillgood.simulation.rehearsal.rehearse import rehearse as played

    return played(history, contract, Plan(**plan), pages=None if pages is None else Path(pages), tuned=tuned)


def rollback(store: Where, *, because: str, to: str | None = None) -> dict[str, Any]:
    """Go back to the champion before this one, or to ``to``, which served before. Raises UnknownVersion."""
    event = {"action": "rollback", "request_id": f"notebook {uuid4()}", "to": to, "reason": because}
    return InProcess(_store(store)).run("promote", event)[0]


def predict(store: Where, rows: pd.DataFrame, *, capture: bool = True) -> pd.DataFrame:
    """The champion's answers, in the index of ``rows``: probability, decision, threshold, logit, prediction and entity
    id, version.

    ``refused`` says what is wrong with a row that breaks the contract, whose answer is missing. ``capture``: keep a
    record of each, for monitor. Raises NoChampion.
    """
    from stillgood.steps.score_rows import score_rows

    serving = InProcess(_store(store)).serving(capture=capture)
    names = ("probability", "decision", "threshold", "logit", "prediction_id", "entity_id", "model_version")
    table: list[dict[str, Any]] = []
    for scored in score_rows(_texts(rows), serving, text=True):
        answer = scored.answer or {}
        refused = "; ".join(str(violation["message"]) for violation in scored.violations)
        table.append({name: answer.get(name) for name in names} | {"refused": refused or None})
    made = pd.DataFrame(table, index=rows.index, columns=[*names, "refused"])
    return made.astype({"probability": float, "threshold": float, "logit": float, "decision": "boolean"})


def explain(store: Where, rows: pd.DataFrame) -> pd.DataFrame:
    """What each feature adds to the logit of each row, with ``baseline`` and their sum ``logit``; in the index of
    ``rows``.

    Raises NoChampion, and InvalidRows when a row breaks the contract.
    """
    from stillgood.steps.score_rows import score_rows

    serving = InProcess(_store(store)).serving(capture=False)
    names = [feature.name for feature in serving.champions.current().model.contract.features]
    table: list[dict[str, Any]] = []
    for scored in score_rows(_texts(rows), serving, text=True):
        if scored.answer is None:
            raise InvalidRows(
                f"Row {scored.number} breaks the contract: {scored.violations[0]['message']}", scored.violations, 1
            )
        added: dict[str, float] = {}
        for reason in scored.answer["reasons"]:
            added[str(reason["feature"])] = float(reason["contribution"])
        table.append({"baseline": scored.answer["baseline"], **added, "logit": scored.answer["logit"]})
    others = sorted({name for row in table for name in row} - {"baseline", "logit", *names})
    return pd.DataFrame(table, index=rows.index, columns=["baseline", *names, *others, "logit"], dtype=float)


def drift(reference: pd.DataFrame, rows: pd.DataFrame, contract: ContractData) -> pd.DataFrame:
    """Every check of ``rows`` against ``reference``, the drifted ones first, then by size of effect.

    Columns: feature, test, effect (0 to 1), p and p_adjusted (Holm), drifted, reason. Rows that break the contract are
    left out of both. Raises InvalidRows when that leaves nothing.
    """
    from stillgood.domain.drift.detect import detect_drift
    from stillgood.domain.drift.profile import profile
    from stillgood.domain.drift.reference import (
        Distribution,
        Levels,
        Reference,
        codes_of,
        is_category,
        levels_of,
        watched,
    )

    agreed = contract if isinstance(contract, Contract) else read_contract(dict(contract))
    before, after = _frame(agreed, reference), _frame(agreed, rows)
    features = watched(agreed)
    known = Reference(
        version="reference",
        rows=before.n,
        numeric={
            feature.name: Distribution.of(before.columns[feature.name])
            for feature in features
            if not is_category(feature)
        },
        categorical={
            feature.name: Levels.of(levels_of(feature), codes_of(feature, before.columns[feature.name]))
            for feature in features
            if is_category(feature)
        },
        score=Distribution.of(
            [0.5] * before.n
        ),  # there is no model: every row scores alike, so these checks say nothing
    )
    flat = [0.5] * after.n
    report = detect_drift(known, profile(known, after, flat, flat, [False] * after.n))
    checks = [check for check in report.checks if check.test not in ("score", "confidence")]
    checks.sort(key=lambda check: (not check.drifted, -check.effect, check.name))
    return pd.DataFrame(
        [
            (check.subject, check.test, check.effect, check.p, check.p_adjusted, check.drifted, check.reason)
            for check in checks
        ],
        columns=["feature", "test", "effect", "p", "p_adjusted", "drifted", "reason"],
    )


def monitor(store: Where, *, until: str | None = None, hours: float | None = None) -> dict[str, Any]:
    """Judge the window of predictions that ends ``until`` (ISO 8601; now), and do what follows; returns its report.

    Raises NoChampion's message as ``result`` "no champion" when nothing serves.
    """
    from datetime import timedelta

    from stillgood.storage.windows import Window, read_report

    place = _store(store)
    end = until or iso(now().replace(microsecond=0) + timedelta(seconds=1))
    judged = InProcess(place).run("monitor", {"scheduled_time": end}, window_hours=hours)[0]
    report = read_report(place, Window.from_id(judged["window"]))
    return judged if report is None else report


def status(store: Where) -> dict[str, Any]:
    """What serves, what was found, the last windows and what waits: the data of ``stillgood status``."""
    from stillgood.cli.place import Place
    from stillgood.cli.verbs.status import status as said

    return said(Place(_store(store), str(store), ""))


def champion(store: Where) -> Champion:
    """The model that serves, verified, and its pointer. Raises NoChampion, ModelUnusable."""
    return InProcess(_store(store)).serving(capture=False).champions.current()


def decisions(store: Where) -> pd.DataFrame:
    """The decision log, oldest first: number, time, action, candidate and reasons."""
    return pd.DataFrame(
        [
            (decision.n, decision.at, decision.action, decision.candidate, " ".join(decision.reasons))
            for decision in Registry(_store(store)).decisions()
        ],
        columns=["n", "at", "action", "candidate", "reasons"],
    )


def contract(store: Where) -> dict[str, Any]:
    """The contract in force, as JSON data. Raises InvalidEvent when there is none."""
    return contract_in_force(_store(store)).to_dict()


def _store(where: Where) -> ObjectStore:
    return FolderObjectStore(Path(where)) if isinstance(where, str | os.PathLike) else where


def _csv(rows: pd.DataFrame) -> bytes:
    return _as_texts(rows).to_csv(index=False, lineterminator="\n").encode()


def _as_texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Every value as CSV would hold it: blank for missing, whole numbers without a point, as a column of integers with
    a gap has them.
    """
    return pd.DataFrame(rows.astype(object).map(_text))


def _text(value: Any) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value) or value is pd.NA:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return str(value)


def _texts(rows: pd.DataFrame) -> Any:
    names = [str(name) for name in rows.columns]
    return (dict(zip(names, row, strict=True)) for row in _as_texts(rows).itertuples(index=False, name=None))


def _frame(agreed: Contract, rows: pd.DataFrame) -> Frame:
    from stillgood.domain.contract.column_check import ColumnCheck
    from stillgood.storage.tables.opening import open_for

    check = ColumnCheck(agreed, text=True, extra="ignore")
    frames = [check(chunk).frame for chunk in open_for(agreed, "rows.csv", [_csv(rows)]).chunks]
    frames = [frame for frame in frames if frame.n]
    if not frames:
        raise InvalidRows("None of the rows keeps the contract, so there is nothing to compare.", [])
    return concat(frames)


class _as_file:  # noqa: N801 -- reads as a function
    """``rows`` as a CSV file while the block runs."""

    def __init__(self, rows: pd.DataFrame, name: str) -> None:
        self._rows, self._name = rows, name

    def __enter__(self) -> Path:
        import tempfile

        if not len(self._rows):
            raise ContractInvalid("The table has no rows; a draft needs some to look at.")
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "rows.csv"
        path.write_bytes(_csv(self._rows))
        return path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

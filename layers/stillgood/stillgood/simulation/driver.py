"""Drives the real steps through a world in virtual time: predict, labels, monitor, train, promote, each as its Lambda
would be called.

Nothing of the loop is imitated. Rows go through ``predict`` and are captured, labels through the labels step, and what
monitor and train invoke is called when they have returned. What differs from a deployment: calls arrive at once and in
order, requests are as large as the world makes them, and a step that fails is not tried again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from stillgood.aws.capture import Capture
from stillgood.domain.errors import InvalidRows, StillgoodError
from stillgood.domain.model.evaluation import roc_auc
from stillgood.domain.model.vectorised import logits
from stillgood.domain.policy.evidence import Policy
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.pages.writer import write_pages
from stillgood.simulation.clock import VirtualClock
from stillgood.simulation.policies import COMPARED
from stillgood.simulation.world import Feedback, Request, Times, Truth, World, utc64
from stillgood.steps.labels.ingest import ingest_labels
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.steps.predict import PredictDeps, predict
from stillgood.steps.promote.cases import approve
from stillgood.steps.promote.move import move
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.rollback import roll_back
from stillgood.steps.train.train import TrainDeps, train
from stillgood.storage.artifacts import read_artifact
from stillgood.storage.champion import ChampionSource
from stillgood.storage.codec import decode_any, encode, sha256
from stillgood.storage.keys import (
    CONTRACT_KEY,
    DATA_PREFIX,
    FOLDS,
    HOLDOUT,
    METRICS,
    MODEL,
    MODELS_PREFIX,
    REFERENCE,
    artifact_key,
)
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import ObjectStore
from stillgood.storage.registry import LogHead, Registry
from stillgood.storage.windows import Window, iso, read_report, utc
from stillgood.testing.fakes import FakeInvoker
from stillgood.training.memory import NO_FITS, Fits
from stillgood.training.tracking import Tracking

_SETTLE_SECONDS = 60.0
_SECOND = np.timedelta64(1, "s")
_UNLIMITED = 1 << 40
_UPLOAD = "world"  # the folder of the files that a world without sources tells its outcomes by
_JUDGED_BY = (HOLDOUT, FOLDS)


@dataclass(frozen=True, slots=True)
class Event:
    """What a step did in a window: ``step`` is train or promote, ``result`` its own word ("trained", "promoted",
    "refused",
    "rolled back", "failed")."""

    step: str
    result: str
    version: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class WindowResult:
    """One window under one policy. ``y``, ``probability`` and ``flagged`` have an entry for each of the n rows that
    were sent;
    ``refused`` bool[n] marks those that broke the contract, whose other entries mean nothing. ``truth``: the champion's
    ROC-AUC and recall on rows nobody learns from, with the model that served at the window's end *before* it was
    decided.
    """

    at: int
    window: Window
    champion: str
    y: NDArray[np.int8]
    probability: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    truth_roc_auc: float | None
    truth_recall: float | None
    report: Mapping[str, Any] | None
    events: tuple[Event, ...]
    error: str | None = None

    @property
    def action(self) -> str:
        return "none" if self.report is None else str(self.report["decision"]["action"])

    def did(self, result: str) -> bool:
        return any(event.result == result for event in self.events)


@dataclass(slots=True)
class Waiting:
    """Labels on their way: what was said of which prediction, and when it is sent."""

    prediction_id: list[NDArray[np.object_]] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)

    def add(self, ids: NDArray[np.object_], times: Times, feedback: Feedback) -> None:
        """``times`` datetime64[us][n]: when each row was predicted; an outcome dated before that speaks of none."""
        keep = ~np.isnat(feedback.known) & (ids[feedback.row] != "")
        usable = feedback.take(np.flatnonzero(keep))
        event = np.maximum(usable.event, times[usable.row] + _SECOND)
        usable = replace(usable, event=event, known=np.maximum(usable.known, event))
        self.prediction_id.append(ids[usable.row])
        self.feedback.append(usable)

    def due(self, now: np.datetime64) -> Iterator[tuple[str, bool, np.datetime64, str]]:
        """What is sent by ``now``, in order of time, and by whom; it waits no longer."""
        for place, (ids, feedback) in enumerate(zip(self.prediction_id, self.feedback, strict=True)):
            ready = feedback.known <= now
            for index in np.flatnonzero(ready).tolist():
                source = _UPLOAD if feedback.source is None else str(feedback.source[index])
                yield str(ids[index]), bool(feedback.positive[index]), feedback.event[index], source
            if ready.any():
                self.prediction_id[place], self.feedback[place] = ids[~ready], feedback.take(np.flatnonzero(~ready))
        kept = [place for place, feedback in enumerate(self.feedback) if len(feedback.row)]
        self.prediction_id = [self.prediction_id[place] for place in kept]
        self.feedback = [self.feedback[place] for place in kept]

    def to_list(self) -> list[list[Any]]:
        """JSON-able, times as microseconds."""
        return [
            [
                ids.tolist(),
                feedback.row.tolist(),
                feedback.positive.tolist(),
                _micros(feedback.event),
                _micros(feedback.known),
                *([] if feedback.source is None else [feedback.source.tolist()]),
            ]
            for ids, feedback in zip(self.prediction_id, self.feedback, strict=True)
        ]

    @classmethod
    def from_list(cls, raw: Sequence[Sequence[Any]]) -> Self:
        waiting = cls()
        for ids, row, positive, event, known, *source in raw:
            waiting.prediction_id.append(np.array(ids, dtype=object))
            moments = (np.array(micros, dtype=np.int64).astype("datetime64[us]") for micros in (event, known))
            waiting.feedback.append(
                Feedback(
                    np.array(row, dtype=np.int64),
                    np.array(positive, dtype=bool),
                    *moments,
                    *(np.array(names, dtype=object) for names in source),
                )
            )
        return waiting


def _micros(times: Times) -> list[int]:
    micros: list[int] = times.astype("datetime64[us]").astype(np.int64).tolist()
    return micros


class Driver:
    """One world under one policy. ``policy`` is one of ``COMPARED``, or a Policy of its own with the guarded gate.

    ``watches`` False leaves monitor out, where the policy does nothing anyway; ``seed`` is train's. Without
    ``keeps_candidates`` the rows that a gate looked at are dropped once their version serves no more: they are most of
    what is stored. ``pages`` writes the pages of each window, decision and version, as the Lambdas do after a step.
    ``approves``: somebody says yes at once to whatever waits for a person, so that the gate alone is measured; False:
    nobody ever answers. ``fits``: what other policies have fitted already on the same rows.
    """

    def __init__(
        self,
        world: World,
        policy: str | Policy,
        *,
        clock: VirtualClock | None = None,
        store: ObjectStore | None = None,
        watches: bool = True,
        seed: int = 0,
        keeps_candidates: bool = True,
        pages: bool = False,
        approves: bool = True,
        fits: Fits = NO_FITS,
    ) -> None:
        self.world = world
        self.policy = COMPARED[policy] if isinstance(policy, str) else policy
        self.clock = VirtualClock(world.spans[0].start - timedelta(hours=1)) if clock is None else clock
        self.store = MemoryObjectStore(self.clock) if store is None else store
        self._pages = pages
        self.invoker = FakeInvoker()
        self._ids = 0
        self._watches, self._keeps_candidates, self._approves = watches, keeps_candidates, approves
        self._waiting = Waiting()
        self._scored: dict[tuple[str, str], tuple[float, float]] = {}
        champions = ChampionSource(self.store, self.clock, ttl_seconds=0)
        self._predict = PredictDeps(champions, Capture(self.store), self.clock, self._new_id, _UNLIMITED, _UNLIMITED)
        self._monitor = MonitorDeps(
            self.store,
            self.invoker,
            self.clock,
            self.clock.sleep,
            self.policy,
            settle_seconds=_SETTLE_SECONDS,
        )
        self._train = TrainDeps(self.store, self.invoker, self.clock, Tracking(None, ""), seed, fits)
        gate = "simple" if self.policy.name == "simple" else "guarded"
        self._promote = PromoteDeps(self.store, self.clock, gate)
        self.first: tuple[Event, ...] = ()

    def run(self) -> Iterator[WindowResult]:
        """Window after window; the first model is learnt before the first."""
        self.begin()
        for at in range(len(self.world.spans)):
            yield self.step(at)

    def begin(self) -> None:
        """Learn the first model. A gate that refuses it (a floor that it does not reach) is heard, and overruled: there
        is no
        history without a champion. Raises what train raises when there is nothing to learn from."""
        self.store.put(CONTRACT_KEY, encode(self.world.contract.to_dict()))
        day = self.clock() - timedelta(days=1)
        self.store.put(f"{DATA_PREFIX}{day:%Y-%m-%d}/first.csv", self.world.first())
        trained = train({"request_id": "first", "reason": "the first model"}, self._train)
        self._write_pages(trained)
        self.invoker.events.clear()
        answer = promote({"action": "promote", "candidate": trained["version"], "request_id": "first"}, self._promote)
        self._write_pages(answer)
        events = [Event("promote", answer["result"], answer["candidate"], tuple(answer["reasons"]))]
        if answer["result"] != "promoted":
            events.append(self._put_in_force(trained["version"], "first, overruled"))
        self.first = tuple(events)

    def memory(self) -> dict[str, Any]:
        """JSON-able: what it knows beyond what is stored; ``resume`` goes on from it."""
        return {
            "at": iso(self.clock()),
            "ids": self._ids,
            "first": [[event.step, event.result, event.version, list(event.reasons)] for event in self.first],
            "waiting": self._waiting.to_list(),
        }

    def resume(self, memory: Mapping[str, Any]) -> None:
        """Go on where another driver of the same world and policy was, with what it had stored in the store."""
        self.clock.advance(utc(memory["at"]))
        self._ids = int(memory["ids"])
        self.first = tuple(Event(step, result, version, tuple(why)) for step, result, version, why in memory["first"])
        self._waiting = Waiting.from_list(memory["waiting"])

    @property
    def promised(self) -> Mapping[str, Any]:
        """The champion's ROC-AUC as it was measured before it served: value, low, high; empty where nothing was."""
        pointer = Registry(self.store).pointer()
        promised = pointer.metrics.get("roc_auc") if pointer else None
        return promised if isinstance(promised, Mapping) else {}

    def step(self, at: int) -> WindowResult:
        """Play window ``at``, the one after the last that was played."""
        world, window = self.world, self.world.spans[at]
        self.clock.advance(window.start)
        champion = self._predict.champions.current().pointer.version
        requests = world.requests(at)
        n = sum(len(request.rows) for request in requests)
        ids = np.full(n, "", dtype=object)
        probability, flagged = np.full(n, np.nan), np.zeros(n, dtype=bool)
        acted = np.zeros(n, dtype=bool)
        predicted_at = np.full(n, np.datetime64("NaT", "us"))
        for request in requests:
            self.clock.advance(request.time)
            predicted_at[request.rows] = utc64(self.clock())
            self._send(request, ids, probability, flagged, acted)
        y = world.outcomes(at, acted)
        self._waiting.add(ids, predicted_at, world.feedback(at, flagged, y))
        self.clock.advance(window.end)
        truth = self._judge(world.truth(at))
        report, events, error = None, [], None
        if self._watches:
            self._send_labels(window)
            self.clock.advance(window.end + timedelta(seconds=_SETTLE_SECONDS))
            try:
                hours = (window.end - window.start) / timedelta(hours=1)
                judged = monitor({"scheduled_time": iso(window.end)}, replace(self._monitor, window_hours=hours))
                self._write_pages(judged)
                report = read_report(self.store, window)
            except StillgoodError as failed:
                error = f"{type(failed).__name__}: {failed.detail}"
            events = list(self._effects())
            if not self._keeps_candidates:
                self._drop_judged_rows()
        refused = np.equal(ids, "")
        return WindowResult(
            at, window, champion, y, probability, flagged, refused, *truth, report, tuple(events), error
        )

    def _drop_judged_rows(self) -> None:
        pointer = Registry(self.store).pointer()
        serving = {release.version for release in (pointer, pointer and pointer.previous) if release}
        for info in list(self.store.list(MODELS_PREFIX)):
            version, _, name = info.key.removeprefix(MODELS_PREFIX).partition("/")
            if name in _JUDGED_BY and version not in serving:
                self.store.delete(info.key)

    def _write_pages(self, answer: Mapping[str, Any]) -> None:
        if self._pages:
            write_pages(self.store, answer)

    def _new_id(self) -> str:
        self._ids += 1
        return f"p{self._ids:09d}"

    def _send(
        self,
        request: Request,
        ids: NDArray[np.object_],
        probability: NDArray[np.float64],
        flagged: NDArray[np.bool_],
        acted: NDArray[np.bool_],
    ) -> None:
        try:
            answered: Any = predict(request.body, self._predict, reasons=0, caller=request.caller).body["predictions"]
        except InvalidRows as refused:  # one bad row refuses its whole request; the others are sent again without it
            rows = self._accepted(orjson.loads(request.body), refused)
            if rows:
                body = orjson.dumps([row for _, row in rows])
                rest = Request(request.time, body, request.rows[[number for number, _ in rows]], request.caller)
                self._send(rest, ids, probability, flagged, acted)
            return
        ids[request.rows] = [answer["prediction_id"] for answer in answered]
        probability[request.rows] = [answer["probability"] for answer in answered]
        flagged[request.rows] = [answer["decision"] for answer in answered]
        acted[request.rows] = [answer.get("act", answer["decision"]) for answer in answered]

    def _accepted(self, rows: list[Any], refused: InvalidRows) -> list[tuple[int, Any]]:
        """The rows that were not refused, with their places. An answer lists the first violations only: where there
        are more, the champion's contract is asked.
        """
        bad = {violation["row"] for violation in refused.violations}
        if len(bad) < refused.rows:
            check = self._predict.champions.current().checker.check
            bad |= {number for number, row in enumerate(rows) if check(row, now=self.clock()).violations}
        return [(number, row) for number, row in enumerate(rows) if number not in bad]

    def _judge(self, truth: Truth | None) -> tuple[float | None, float | None]:
        if truth is None:
            return None, None
        champion = self._predict.champions.current()
        key = (champion.pointer.version, truth.name)
        if key not in self._scored:
            values = logits(champion.model, truth.frame)
            flagged = values >= champion.model.threshold_logit
            self._scored[key] = (roc_auc(values, truth.y), float(flagged[truth.y == 1].mean()))
        return self._scored[key]

    def _send_labels(self, window: Window) -> None:
        target = self.world.contract.target
        by_source: dict[str, list[dict[str, str]]] = {}
        for identity, positive, event, source in self._waiting.due(utc64(window.end)):
            label = target.positive if positive else target.negative
            row = {"prediction_id": identity, "label": label, "event_time": f"{event}Z"}
            by_source.setdefault(source, []).append(row)
        for source, rows in sorted(by_source.items()):
            ingest_labels(self.store, rows, target, now=window.end, source=source)

    def _effects(self) -> Iterator[Event]:
        """Call what was invoked, and what that invokes."""
        while self.invoker.events:
            step, event = self.invoker.events.pop(0)
            try:
                if step == "train":
                    result = train(event, self._train)
                    self._write_pages(result)
                    yield Event(
                        "train", result["result"], result["version"], (str(result["why"] or event.get("reason")),)
                    )
                elif event["action"] == "move":
                    self._write_pages(move(event, self._promote))
                elif event["action"] == "rollback":
                    result = roll_back(event, self._promote)
                    self._write_pages(result)
                    yield Event("promote", result["result"], result["new_version"], tuple(result["reasons"]))
                elif self.policy.name == "always":
                    yield self._put_in_force(event["candidate"], event["request_id"])
                else:
                    result = promote(event, self._promote)
                    self._write_pages(result)
                    yield Event("promote", result["result"], result["candidate"], tuple(result["reasons"]))
                    if result["result"] == "asked" and self._approves:
                        answer = {"action": "approve", "case": result["decision"], "reason": "The gate let it pass."}
                        result = approve({**answer, "request_id": f"case {result['decision']}"}, self._promote)
                        yield Event("promote", result["result"], result["candidate"], tuple(result["reasons"]))
            except StillgoodError as failed:
                yield Event(step, "failed", event.get("candidate"), (f"{type(failed).__name__}: {failed.detail}",))

    def _put_in_force(self, version: str, request_id: str) -> Event:
        """Put a version in force without asking the gate."""
        model = sha256(read_artifact(self.store, version, MODEL))
        metrics = decode_any(read_artifact(self.store, version, METRICS), what=METRICS)
        release = Release(
            version,
            artifact_key(version, MODEL),
            model,
            artifact_key(version, REFERENCE),
            metrics["holdout"] or metrics["out_of_fold"],
            metrics["threshold"],
        )

        def propose(head: LogHead) -> Proposal:
            serving = head.serving
            figures = {"asked": {"action": "promote", "version": version}, "serving": serving, "gate": "none"}
            return Proposal(
                at=iso(self.clock()),
                action="promote",
                request_id=request_id,
                candidate=version,
                reasons=("put in force without a gate",),
                figures=figures,
                inputs={},
                release=release,
            )

        decision, _ = Registry(self.store).decide(request_id, propose)
        self._write_pages({"decision": decision.n})
        return Event("promote", "promoted", version, ("put in force without a gate",))

"""A shop whose customers are scored, leave or stay, and whose feed says so: the world of the outcome ledger's tests."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.drift.profile import build_reference
from stillgood.domain.model.evaluation import Estimate, Metrics
from stillgood.domain.model.model import Calibration, Model, NumericTerm, sigmoid
from stillgood.domain.policy.policies import POLICIES
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.steps.labels.ingest import ingest_labels
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.steps.monitor.outcomes import Outcomes, outcomes
from stillgood.storage.artifacts import publish
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import MODEL, REFERENCE, artifact_key, capture_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import Window, iso, read_report
from stillgood.testing.fakes import FakeInvoker
from stillgood.testing.faulty import Crashed, FaultyObjectStore

DAY = timedelta(days=1)
FIRST = datetime(2026, 9, 1, tzinfo=UTC)
VERSION = "20260801-first"
SHARE = Estimate(0.5, 0.45, 0.55)
PROMISED = Metrics(
    Estimate(0.8, 0.78, 0.82), SHARE, SHARE, SHARE, Estimate(0.17, 0.16, 0.18), 0.01, 3_000, 800, 900
)  # fmt: skip
RAW: dict[str, Any] = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "shop",
    "version": "1",
    "id": "customer",
    "time": "at",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "floors": {"recall": 0.3},
    "features": [{"name": "risk", "kind": "numeric"}],
}


class Shop:
    """``per_day`` customers are scored at 06:00; each leaves with its own probability, on the day after it was
    scored.
    """

    def __init__(
        self, *, per_day: int = 250, seed: int = 1, maturity: float = 10, policy: str = "guarded", **contract: Any
    ) -> None:
        self.store = MemoryObjectStore(clock=lambda: self.now)
        self.now = FIRST - 30 * DAY
        self.per_day = per_day
        self.rng = np.random.default_rng(seed)
        rules = {"label_maturity_days": maturity, **contract.pop("monitoring", {})}
        self.contract: Contract = read_contract(RAW | contract | {"monitoring": rules})
        self.policy = POLICIES[policy]
        self.invoker = FakeInvoker()
        self.rows: list[dict[str, Any]] = []
        self.model = self.promote(VERSION)

    def promote(self, version: str, weight: float = 1.5, came_by: Any = "promote") -> Model:
        """Make a model of one weight champion; 1.5 is the truth."""
        model = Model(
            version, self.contract, (NumericTerm("risk", 0.0, 1.0, weight),), -1.0, -1.0, Calibration(1.0, 0.0)
        )
        risks = np.random.default_rng(7).normal(size=2_000)
        scores = [model.score({"risk": float(risk)}).score for risk in risks]
        frame = Frame(self.contract, 2_000, {"risk": risks})
        data = encode(model.to_dict())
        publish(self.store, version, {MODEL: data, REFERENCE: encode(build_reference(model, frame, scores).to_dict())})
        release = Release(
            version,
            artifact_key(version, MODEL),
            sha256(data),
            artifact_key(version, REFERENCE),
            PROMISED.to_dict(),
            model.threshold,
        )
        Registry(self.store).decide(
            version, lambda _: Proposal(iso(self.now), came_by, version, version, ("better",), release=release)
        )
        self.model = model
        return model

    def predict(
        self,
        day: int,
        *,
        truth: float = 1.5,
        entities: Callable[[int], str | None] | None = None,
        hour: float = 6,
        count: int | None = None,
        caller: str | None = None,
        odd: float = 0.0,
    ) -> list[dict[str, Any]]:
        """Score the customers of ``day`` (counted from FIRST), or ``count`` of them, in one request of ``caller``;
        returns one dict each, with ``leaves``. ``odd``: by how much their risk is over everybody's.
        """
        at = FIRST + day * DAY + timedelta(hours=hour)
        made, lines = [], []
        for number in range(self.per_day if count is None else count):
            risk = odd + float(self.rng.normal())
            score = self.model.score({"risk": risk})
            row = {
                "prediction_id": f"p{day}-{number}-{hour:g}",
                "time": iso(at),
                "entity_id": entities(number) if entities else f"c{day}-{number}",
                "features": {"risk": risk},
                "score": score.score,
                "probability": score.probability,
                "decision": score.decision,
                "model": self.model.version,
            }
            asked = {"kind": "prediction", **row} | ({"caller": caller} if caller else {})
            lines.append(json.dumps(asked))
            made.append(row | {"at": at, "day": day, "leaves": bool(self.rng.random() < sigmoid(truth * risk - 1.0))})
        self.store.put(capture_key(at, f"day{day}{caller or ''}"), "\n".join(lines).encode() + b"\n")
        self.rows += made
        return made

    def at(self, day: float) -> datetime:
        return FIRST + day * DAY

    def send(
        self,
        rows: Iterable[dict[str, Any]],
        day: float,
        *,
        by: str = "prediction_id",
        event: float | None = 1.0,
        said: str | None = None,
        source: str = "crm",
        complete_until: datetime | None = None,
    ) -> None:
        """Labels of ``rows`` arrive on ``day``; they are dated ``event`` days after the prediction, or on arrival."""
        self.now = self.at(day)
        labels = [
            {by: row[by], "label": said or ("yes" if row["leaves"] else "no"),
             "event_time": iso(self.now if event is None else row["at"] + event * DAY)}
            for row in rows
        ]  # fmt: skip
        if complete_until is not None:
            labels.append({"complete_until": iso(complete_until)})
        ingest_labels(self.store, labels, self.contract.target, now=self.now, source=source)

    def judge(self, day: float, *, late: float = 0.0) -> Outcomes:
        """What labels say in the window of 24 hours that ends on ``day``, looked at ``late`` days after."""
        pointer = Registry(self.store).pointer()
        assert pointer is not None
        self.now = self.at(day + late)
        window = Window.ending(self.at(day), 24)
        return outcomes(self.store, self.contract, pointer, window, settled=self.now, now=self.now)

    def crashes(self, day: float, at: int, when: Literal["before", "after"]) -> bool:
        """Whether ``judge`` comes to its write number ``at``, and so dies there; what is written stays."""
        whole, self.store = self.store, FaultyObjectStore(self.store, at=at, when=when)  # type: ignore[assignment]
        try:
            self.judge(day)
        except Crashed:
            return True
        finally:
            self.store = whole
        return False

    def monitor(self, day: int) -> dict[str, Any]:
        """The report of the window that ends on ``day``."""
        self.now = self.at(day) + timedelta(minutes=5)
        deps = MonitorDeps(self.store, self.invoker, lambda: self.now, lambda _: None, self.policy, settle_seconds=0.0)
        monitor({"scheduled_time": iso(self.at(day))}, deps)
        report = read_report(self.store, Window.ending(self.at(day), 24))
        assert report is not None
        return report

    def learnt(self) -> list[dict[str, str]]:
        """All training rows that were written, in the order of their files."""
        files = sorted((info.modified, info.key) for info in self.store.list("data/"))
        texts = [self.store.get(key).data.decode() for _, key in files]
        return [row for text in texts for row in csv.DictReader(io.StringIO(text, newline=""))]

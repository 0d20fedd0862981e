"""One scheduled time, one judged window: whatever is delivered twice, raced, or dies half-way."""

import json
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.drift.profile import build_reference
from stillgood.domain.errors import DocumentUnusable, InvalidEvent, StoreUnavailable
from stillgood.domain.model.model import Calibration, CategoricalTerm, Model, NumericTerm
from stillgood.domain.policy.policies import POLICIES, Guarded, PolicyDecision
from stillgood.domain.promotion.decision import Pointer
from stillgood.steps.monitor.monitor import MonitorDeps, monitor
from stillgood.storage.codec import decode, encode, sha256
from stillgood.storage.keys import POINTER_KEY, STATE_KEY, capture_key, report_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.windows import Window, iso, read_report, read_state
from stillgood.testing.fakes import FakeInvoker
from stillgood.testing.faulty import Crashed, FaultyObjectStore

DAY = timedelta(days=1)
TODAY = datetime(2026, 11, 24, tzinfo=UTC)
EVENT = {"scheduled_time": "2026-11-24T00:00:00Z"}
RAW = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "shop",
    "version": "1",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [
        {"name": "price", "kind": "numeric"},
        {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"], "nullable": True},
    ],
}


class World:
    """A bucket with a champion, and customers who ask for predictions."""

    def __init__(self, mode="fixed", **monitoring):
        self.store = MemoryObjectStore(clock=lambda: TODAY - 30 * DAY)
        self.now = TODAY + timedelta(hours=1)
        self.slept = []
        self.contract = read_contract(RAW | {"monitoring": monitoring, "operating_point": {"mode": mode}})
        self.model = self.promote("v1")

    def promote(self, version, generation=1):
        terms = (NumericTerm("price", 50.0, 10.0, 1.0), CategoricalTerm("plan", {"basic": 0.5, "plus": -0.5}))
        model = Model(version, self.contract, terms, 0.0, 0.0, Calibration(1.0, 0.0))
        rows = self.customers(1, 2_000)
        scores = [model.score(row).score for row in rows]
        reference = build_reference(model, Frame.from_values(self.contract, rows), scores)
        data = encode(model.to_dict())
        self.store.put(f"models/{version}/model.json", data)
        self.store.put(f"models/{version}/reference.json", encode(reference.to_dict()))
        self.store.put(f"models/{version}/metrics.json", encode({"learnt_until": "2026-11-01T00:00:00Z"}))
        pointer = Pointer(
            version, f"models/{version}/model.json", sha256(data), f"models/{version}/reference.json", {}, 0.5,
            generation, generation, iso(TODAY), None,
        )  # fmt: skip
        self.store.put(POINTER_KEY, encode(pointer.to_dict()))
        return model

    def customers(self, seed, n, *, price=50.0, missing=0.0):
        rng = np.random.default_rng(seed)
        plans = [
            None if hole else plan
            for hole, plan in zip(rng.random(n) < missing, rng.choice(["basic", "plus"], n), strict=True)
        ]
        return [
            {"price": p, "plan": plan}
            for p, plan in zip(rng.normal(price, 10, n).round(2).tolist(), plans, strict=True)
        ]

    def capture(self, at, rows=(), *, model=None, refused=0):
        model = model or self.model
        records = [
            {"kind": "rejection", "time": iso(at), "violations": [{"field": "price", "rule": "type"}], "model": "v1"}
        ] * refused
        for row in rows:
            score = model.score(row)
            records.append(
                {"kind": "prediction", "prediction_id": "p", "time": iso(at), "entity_id": None, "features": row,
                 "score": score.score, "probability": score.probability, "decision": score.decision, "model": model.version}  # noqa: E501
            )  # fmt: skip
        self.store.put(
            capture_key(at, f"{len(records)}-{model.version}"),
            "".join(json.dumps(record) + "\n" for record in records).encode(),
        )

    def label(self, rows, name="labels"):
        """New labelled rows, of a day after the newest that the champion learnt from."""
        self.store.put(f"data/2026-11-23/{name}.csv", b"price,plan,left\n" + b"50,basic,no\n" * rows)

    def deps(self, *, policy="guarded", store=None, invoker=None, settle_seconds=0.0):
        return MonitorDeps(
            store=store or self.store,
            invoker=FakeInvoker() if invoker is None else invoker,
            clock=lambda: self.now,
            sleep=self.sleep,
            policy=POLICIES[policy] if isinstance(policy, str) else policy,
            settle_seconds=settle_seconds,
        )

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def report(self, end=TODAY):
        return read_report(self.store, Window.ending(end, 24))


def drifting(days=2, **change):
    """A world whose prices moved for the last ``days`` windows, with labels to learn from."""
    world = World()
    for day in range(days):
        world.capture(
            TODAY - (day + 1) * DAY + timedelta(hours=3), world.customers(20 + day, 500, **({"price": 56.0} | change))
        )
    world.label(500)
    return world


def at(day):
    """The event of the window that ends ``day`` days from today."""
    return {"scheduled_time": iso(TODAY + day * DAY)}


def test_a_quiet_window_is_reported_and_nothing_is_done():
    world, invoker = World(), FakeInvoker()
    world.capture(TODAY - timedelta(hours=5), world.customers(2, 600))

    result = monitor(EVENT, world.deps(invoker=invoker))

    assert (result["result"], result["rows"], result["duplicate"]) == ("nothing", 600, False)
    assert result["reasons"] == ["nothing drifted enough to matter"]
    assert result["report"] == "monitoring/reports/20261123T000000Z_20261124T000000Z.json"
    assert invoker.events == []


def test_the_report_holds_every_figure_and_reads_back():
    world = drifting()
    monitor(EVENT, world.deps())

    report = decode(world.store.get(report_key(Window.ending(TODAY, 24).id)).data, format="stillgood.report")

    assert report["window"] == {
        "id": "20261123T000000Z_20261124T000000Z",
        "start": "2026-11-23T00:00:00Z",
        "end": "2026-11-24T00:00:00Z",
    }
    assert report["champion"]["version"] == "v1"
    assert (report["rows"], report["reference_rows"], report["rows_by_model"]) == (500, 2_000, {"v1": 500})
    assert {f"{check['subject']}:{check['test']}" for check in report["drift"]["checks"]} == {
        "price:ks", "price:missing", "plan:chi_square", "plan:missing", "plan:unseen", "score:score", "score:confidence",  # noqa: E501
    }  # fmt: skip
    assert report["drift"]["drifted"] == ["price:ks", "score:score", "score:confidence"]
    assert "blind to concept drift" in report["estimated_performance"]["caveat"]
    assert report["decision"]["would_change"] == ["the same finding in the next window"]
    assert report["decision"]["figures"]["new_labelled_rows"] == 500


@pytest.mark.parametrize("rows", [0, 1, 199])
def test_an_empty_or_tiny_window_is_not_enough_evidence(rows):
    world = World()
    world.capture(TODAY - timedelta(hours=1), world.customers(2, rows, price=90.0))

    result = monitor(EVENT, world.deps(policy="simple"))

    assert (result["result"], result["reasons"]) == ("nothing", [f"not enough evidence: {rows} rows, 200 are needed"])
    assert world.report()["drift"] is None


def test_the_seed_retrains_at_once_and_hands_over_to_train():
    world, invoker = drifting(days=1), FakeInvoker()

    result = monitor(EVENT, world.deps(policy="simple", invoker=invoker))

    assert result["result"] == "retrain"
    [(step, event)] = invoker.events
    assert step == "train"
    assert event["request_id"] == "monitor:20261123T000000Z_20261124T000000Z"
    assert event["reason"].startswith("price:ks: p ")
    assert event["window"] == "20261123T000000Z_20261124T000000Z"


def test_the_guarded_policy_retrains_once_drift_has_lasted():
    world, invoker = drifting(), FakeInvoker()
    deps = world.deps(invoker=invoker)

    actions = [monitor(at(-1), deps)["result"], monitor(at(0), deps)["result"]]

    assert actions == ["nothing", "retrain"]
    assert len(invoker.events) == 1


def test_nothing_new_to_learn_from_is_an_alert_not_a_retrain():
    world, invoker = drifting(), FakeInvoker()
    world.store.delete("data/2026-11-23/labels.csv")
    deps = world.deps(invoker=invoker)

    monitor(at(-1), deps)
    result = monitor(at(0), deps)

    assert (result["result"], invoker.events) == ("alert", [])
    assert result["reasons"][-1] == "no retrain: 0 new labelled rows, at least 200 are needed"


def test_labels_older_than_the_champion_are_not_news():
    world = drifting()
    world.store.delete("data/2026-11-23/labels.csv")
    world.store.put("data/2026-11-01/labels.csv", b"x\n" * 500)  # written now, of a day that the champion has read

    monitor(EVENT, world.deps())

    assert world.report()["decision"]["figures"]["new_labelled_rows"] == 0


def test_a_broken_client_alerts_and_suppresses_the_rest():
    world, invoker = drifting(), FakeInvoker()
    world.capture(TODAY - timedelta(hours=2), refused=100)
    deps = world.deps(invoker=invoker)

    monitor(at(-1), deps)
    result = monitor(at(0), deps)

    assert (result["result"], result["refused"], invoker.events) == ("alert", 100, [])
    assert result["reasons"][1] == "field 'price' breaks rule 'type' in 16.7% of the rows"
    assert world.report()["estimated_performance"] is None
    assert world.report()["contract"]["violations"] == [
        {"field": "price", "rule": "type", "rows": 100, "share": 100 / 600}
    ]


def test_a_feature_that_stops_arriving_is_a_data_fault():
    world = World()
    world.capture(TODAY - timedelta(hours=2), world.customers(3, 500, missing=0.2))

    result = monitor(EVENT, world.deps())

    assert result["result"] == "alert"
    assert result["reasons"][0].startswith("data fault upstream, plan:missing: more values are missing")


def test_a_promotion_mid_window_compares_features_of_all_and_scores_of_the_champion():
    world = World()
    world.capture(TODAY - timedelta(hours=9), world.customers(4, 300))
    world.model = world.promote("v2", generation=2)
    world.capture(TODAY - timedelta(hours=8), world.customers(5, 400))

    monitor(EVENT, world.deps())

    report = world.report()
    assert (report["champion"]["version"], report["rows"], report["champion_rows"]) == ("v2", 700, 400)
    assert report["rows_by_model"] == {"v1": 300, "v2": 400}


def test_the_season_excuses_what_it_explains():
    world = World(period_hours=168)
    for week, seed in ((0, 30), (1, 31)):
        world.capture(TODAY - week * 7 * DAY - timedelta(hours=3), world.customers(seed, 800, price=56.0))

    monitor(EVENT, world.deps())

    assert world.report()["season"] == "20261116T000000Z_20261117T000000Z"
    assert world.report()["drift"]["drifted"] == []


def test_before_the_first_champion_there_is_nothing_to_watch():
    world = World()
    world.store.delete(POINTER_KEY)

    result = monitor(EVENT, world.deps())

    assert result["result"] == "no champion"
    assert world.report() is None


def test_it_waits_until_captures_in_flight_have_settled():
    world = World()
    world.now = TODAY + timedelta(seconds=20)

    monitor(EVENT, world.deps(settle_seconds=60.0))
    monitor(at(-1), world.deps(settle_seconds=60.0))

    assert world.slept == [40.0]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"scheduled_time": None},
        {"scheduled_time": "<aws.scheduler.scheduled-time>"},
        {"scheduled_time": "2026-11-24T00:00:00"},
        [],
    ],
)
def test_an_event_without_a_time_is_refused(event):
    with pytest.raises(InvalidEvent):
        monitor(event, World().deps())


def test_a_window_that_is_still_to_come_is_refused():
    with pytest.raises(InvalidEvent, match="still to come"):
        monitor(at(2), World().deps())


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("models/v1/reference.json", b"{"),
        ("models/v1/reference.json", encode({"format": "stillgood.reference", "format_version": 1})),
        ("models/v1/reference.json", encode({"format": "stillgood.reference", "format_version": 2})),
        ("models/v1/model.json", b"{}"),
        (STATE_KEY, b'{"format": "stillgood.monitor-state", "format_version": 1}'),
        (STATE_KEY, b'{"format": "stillgood.monitor-state", "format_version": 2}'),
        (STATE_KEY, b"["),
    ],
)
def test_damaged_artifacts_are_named_and_nothing_is_decided(key, data):
    world = drifting()
    world.store.put(key, data)

    with pytest.raises(DocumentUnusable, match=key):
        monitor(EVENT, world.deps())

    assert world.report() is None


def test_a_reference_of_another_version_is_refused():
    world = World()
    world.promote("v2")
    world.store.put("models/v2/reference.json", world.store.get("models/v1/reference.json").data)

    with pytest.raises(DocumentUnusable, match="of version v1, not of the champion v2"):
        monitor(EVENT, world.deps())


class TestOncePerWindow:
    def test_a_duplicate_gets_the_stored_report_and_asks_for_its_effect_again(self):
        world, invoker = drifting(), FakeInvoker()
        deps = world.deps(policy="simple", invoker=invoker)
        first = monitor(EVENT, deps)
        state = read_state(world.store)
        world.capture(TODAY - timedelta(minutes=1), world.customers(9, 900))  # came late: the window is judged already

        second = monitor(EVENT, deps)

        assert second == {**first, "duplicate": True}
        assert invoker.events[0] == invoker.events[1]
        assert read_state(world.store) == state

    def test_an_older_window_is_reported_without_touching_the_state(self):
        world = drifting(days=3)
        deps = world.deps()
        monitor(at(0), deps)
        state = read_state(world.store)

        result = monitor(at(-1), deps)

        assert result["result"] == "nothing"
        assert "a later window" in result["reasons"][0]
        assert read_state(world.store) == state
        assert monitor(at(-1), deps) == {**result, "duplicate": True}

    @pytest.mark.parametrize("how", ["crash", "error"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_whatever_write_fails_the_retry_ends_with_one_decision_and_its_effect(self, when, how):
        clean = drifting()
        probe = FaultyObjectStore(clean.store)
        monitor(at(-1), clean.deps())
        monitor(at(0), clean.deps(store=probe))
        expected, writes = clean.report()["decision"], len(probe.writes)

        for fails_at in range(1, writes + 1):
            world, invoker = drifting(), FakeInvoker()
            monitor(at(-1), world.deps())
            with pytest.raises(StoreUnavailable if how == "error" else Crashed):
                monitor(at(0), world.deps(store=FaultyObjectStore(world.store, fails_at, when, how), invoker=invoker))
            monitor(at(0), world.deps(invoker=invoker))

            assert world.report()["decision"] == expected
            assert expected["action"] == "retrain"
            assert {event["request_id"] for _, event in invoker.events} == {"monitor:20261123T000000Z_20261124T000000Z"}
            assert len(read_state(world.store)[0]["retrains"]) == 1

    def test_a_window_that_died_undone_is_finished_by_the_next_one(self):
        world, invoker = drifting(), FakeInvoker()
        monitor(at(-1), world.deps())
        dies = FaultyObjectStore(world.store, at=len(_writes_until_state(world)), when="after")
        with pytest.raises(Crashed):
            monitor(at(0), world.deps(store=dies, invoker=invoker))
        assert (world.report(), invoker.events) == (None, [])
        world.now += DAY

        monitor(at(1), world.deps(invoker=invoker))

        assert world.report()["decision"]["action"] == "retrain"
        assert [step for step, _ in invoker.events] == ["train"]

    def test_an_effect_that_cannot_be_asked_for_leaves_no_report_that_claims_it(self):
        class Refusing:
            def invoke(self, step, event):
                raise ConnectionError

        world, invoker = drifting(days=1), FakeInvoker()
        with pytest.raises(ConnectionError):
            monitor(EVENT, world.deps(policy="simple", invoker=Refusing()))
        assert world.report() is None

        assert monitor(EVENT, world.deps(policy="simple", invoker=invoker))["result"] == "retrain"
        assert len(invoker.events) == 1

    def test_monitors_of_one_window_at_once_agree(self):
        world, invoker = drifting(), FakeInvoker()
        monitor(at(-1), world.deps())
        results = _at_once([lambda: monitor(at(0), world.deps(invoker=invoker))] * 6)

        assert {json.dumps({**result, "duplicate": None}) for result in results} == {
            json.dumps({**results[0], "duplicate": None})
        }
        assert sum(not result["duplicate"] for result in results) <= 1
        assert {event["request_id"] for _, event in invoker.events} == {"monitor:20261123T000000Z_20261124T000000Z"}
        assert len(read_state(world.store)[0]["retrains"]) == 1

    def test_a_monitor_that_was_overtaken_decides_again_on_what_the_other_left(self):
        world, invoker = World(), FakeInvoker()
        for day in range(2):
            world.capture(TODAY - day * DAY - timedelta(hours=3), world.customers(40 + day, 300, price=58.0))
        world.label(500)
        hasty = Guarded(persistence=1)
        overtaken = Overtaken(world.store, lambda: monitor(at(-1), world.deps(policy=hasty, invoker=invoker)))

        result = monitor(at(0), world.deps(policy=hasty, invoker=invoker, store=overtaken))

        assert result["result"] == "nothing"
        assert "asked for already" in result["reasons"][-1]
        assert [event["request_id"] for _, event in invoker.events] == ["monitor:20261122T000000Z_20261123T000000Z"]

    def test_windows_judged_at_once_share_one_budget(self):
        world, invoker = World(), FakeInvoker()
        for day in range(5):
            world.capture(TODAY - day * DAY - timedelta(hours=3), world.customers(40 + day, 300, price=58.0))
        world.label(500)
        deps = world.deps(policy=Guarded(persistence=1), invoker=invoker)

        _at_once([lambda day=day: monitor(at(-day), deps) for day in range(5)])

        assert len({event["request_id"] for _, event in invoker.events}) == 1
        assert len(read_state(world.store)[0]["retrains"]) == 1


@settings(max_examples=15, deadline=None)
@given(order=st.lists(st.integers(-3, 0), min_size=1, max_size=8))
def test_however_often_and_in_whatever_order_windows_are_delivered_each_is_decided_once(order):
    world, invoker = drifting(days=4), FakeInvoker()
    deps = world.deps(invoker=invoker)

    results = [monitor(at(day), deps) for day in order]

    first = {}
    for day, result in zip(order, results, strict=True):
        assert {**result, "duplicate": None} == {**first.setdefault(day, result), "duplicate": None}
    assert len({event["request_id"] for _, event in invoker.events}) == len(read_state(world.store)[0]["retrains"]) <= 1


class Overtaken(FaultyObjectStore):
    """A store in which ``other`` happens just before the first write of the state."""

    def __init__(self, inner, other):
        super().__init__(inner)
        self.other = other

    def create(self, key, data):
        self._overtake(key)
        return super().create(key, data)

    def swap(self, key, data, etag):
        self._overtake(key)
        return super().swap(key, data, etag)

    def _overtake(self, key):
        if key == STATE_KEY and self.other:
            other, self.other = self.other, None
            other()


def _writes_until_state(world):
    """What a monitor of today's window writes, up to and with the state."""
    written = [world.now]
    probe = FaultyObjectStore(MemoryObjectStore(clock=lambda: written[0]))
    for info in list(world.store.list("")):
        written[0] = info.modified
        probe.inner.put(info.key, world.store.get(info.key).data)
    written[0] = world.now
    probe.writes.clear()
    monitor(at(0), world.deps(store=probe))
    return probe.writes[: next(n for n, what in enumerate(probe.writes) if STATE_KEY in what) + 1]


def _at_once(calls):
    results, barrier = [None] * len(calls), threading.Barrier(len(calls))

    def run(number, call):
        barrier.wait()
        results[number] = call()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Wants(Guarded):
    """A policy that asks for a recalibration whatever it sees."""

    def decide(self, evidence, state):
        return PolicyDecision("recalibrate", "guarded", ("calibration: off",), {"drifted": []}, ("less",))


def test_a_recalibration_is_asked_of_train_by_the_windows_name():
    world, invoker = World(), FakeInvoker()
    world.capture(TODAY - timedelta(hours=2), world.customers(3, 500))

    monitor(EVENT, world.deps(policy=Wants(), invoker=invoker))

    window = Window.ending(TODAY, 24.0).id
    assert invoker.events == [
        (
            "train",
            {
                "request_id": f"monitor:{window}",
                "reason": "calibration: off",
                "window": window,
                "action": "recalibrate",
            },
        )
    ]


def test_the_report_says_what_the_decisions_are_worth_where_the_contract_has_costs(monkeypatch):
    assert quiet_report(World())["value"] is None
    monkeypatch.setitem(RAW, "costs", {"miss": 500.0, "offer": 50.0})

    report = quiet_report(World())

    flagged = report["estimated_performance"]["precision"]
    assert report["value"].keys() == {"estimated"}
    assert 0 < report["value"]["estimated"] < 500 * flagged * 1000


def quiet_report(world):
    world.capture(TODAY - timedelta(hours=2), world.customers(3, 500))
    monitor(EVENT, world.deps())
    return read_report(world.store, Window.ending(TODAY, 24.0))

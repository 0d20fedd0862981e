"""Captured lines become exact counts, in flat memory, and an hour that is over is read once."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.drift.profile import build_reference, profile
from stillgood.steps.monitor import captures
from stillgood.steps.monitor.captures import CaptureReader, profile_window
from stillgood.storage.keys import capture_key, hour_key, summary_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.windows import Window

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "shop",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "monthly price", "kind": "numeric", "nullable": True},
            {"name": "member", "kind": "boolean"},
            {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"], "nullable": True},
            {"name": "class", "kind": "categorical", "levels": ["only"], "unseen": "accept"},
            {"name": "email", "kind": "categorical", "levels": ["x"], "pii": True},
        ],
    }
)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
LATER = MIDNIGHT + timedelta(days=9)


def values(seed, n):
    rng = np.random.default_rng(seed)
    return [
        {
            "monthly price": None if rng.random() < 0.1 else float(rng.integers(0, 20)),
            "member": float(rng.integers(0, 2)),
            "plan": [None, "basic", "plus"][rng.integers(0, 3)],
            "class": ["only", "new"][rng.integers(0, 2)],
            "email": "x",
        }
        for _ in range(n)
    ]


def reference():
    rows = values(0, 300)
    model = SimpleNamespace(version="v1", contract=CONTRACT, pairs=())
    return build_reference(model, Frame.from_values(CONTRACT, rows), np.linspace(0, 1, 300))


def record(row, *, model="v1", score=0.25, **change):
    features = {name: value for name, value in row.items() if name != "email"}
    return {
        "kind": "prediction",
        "prediction_id": "p",
        "time": "2026-11-24T00:00:00Z",
        "entity_id": None,
        "features": features | change,
        "score": score,
        "probability": score / 2,
        "decision": score >= 0.5,
        "model": model,
    }


def refusal(*broken):
    return {"kind": "rejection", "time": "t", "violations": [{"field": f, "rule": r} for f, r in broken], "model": "v1"}


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def read(*objects):
    return CaptureReader(CONTRACT, reference()).read(objects)


def test_captured_rows_are_counted_as_their_frame_would_be():
    rows = values(1, 500)
    scores = np.linspace(0, 1, 500)
    expected = profile(
        reference(), Frame.from_values(CONTRACT, rows), scores, scores / 2, scores >= 0.5, models={"v1": 500}
    )

    made = read(lines(*(record(row, score=float(score)) for row, score in zip(rows, scores, strict=True))))

    assert made.to_dict() == expected.to_dict()


@pytest.mark.parametrize("slice_bytes", [1, 1_000, 1 << 20])
@pytest.mark.parametrize("batch_rows", [7, 50_000])
def test_the_counts_do_not_depend_on_how_the_lines_are_cut(monkeypatch, slice_bytes, batch_rows):
    whole = [record(row) for row in values(2, 60)]
    expected = read(lines(*whole)).to_dict()
    monkeypatch.setattr(captures, "_SLICE_BYTES", slice_bytes)
    monkeypatch.setattr(captures, "_BATCH_ROWS", batch_rows)

    one_each = read(*(lines(line) for line in whole)).to_dict()
    large = read(lines(*whole)).to_dict()

    for made in (one_each, large):
        assert made.pop("scores")["placed"] == expected["scores"]["placed"]
        assert made == {name: part for name, part in expected.items() if name != "scores"}


def test_features_count_whoever_predicted_and_scores_the_champions_own():
    made = read(
        lines(*(record(row, model=model) for row, model in zip(values(3, 9), ["v0", "v1", "v1"] * 3, strict=True)))
    )

    assert made.models == {"v0": 3, "v1": 6}
    assert (made.rows, made.scores.n) == (9, 6)


def test_refused_rows_are_counted_by_each_rule_they_break_once():
    both, twice = refusal(("plan", "level"), ("member", "type")), refusal(("plan", "level"), ("plan", "level"))

    made = read(lines(both, twice, record(values(4, 1)[0])))

    assert (made.rows, made.refused) == (1, 2)
    assert made.violations == {("member", "type"): 1, ("plan", "level"): 2}


def test_a_level_the_contract_does_not_list_is_unseen():
    made = read(lines(*(record(row, plan="gold") for row in values(5, 4))))

    assert made.categorical["plan"].counts.tolist() == [0, 0, 4, 0]
    assert made.unreadable == 0


@pytest.mark.parametrize("levels", [1, 126, 127, 128, 129, 255, 256, 300])
def test_however_many_levels_there_are_each_is_counted_as_itself(levels):
    names = [f"level {number}" for number in range(levels)]
    feature = {"name": "plan", "kind": "categorical", "levels": names, "nullable": True, "unseen": "accept"}
    contract = read_contract({**CONTRACT.to_dict(), "features": [feature]})
    rows = [{"plan": name} for name in [*names, names[-1], None, "gold", "gold", "gold"]]
    model = SimpleNamespace(version="v1", contract=contract, pairs=())
    reader = CaptureReader(contract, build_reference(model, Frame.from_values(contract, rows), np.zeros(len(rows))))

    counts = reader.read([lines(*map(record, rows))]).categorical["plan"].counts

    assert counts.tolist() == [1] * (levels - 1) + [2, 3, 1]


@pytest.mark.parametrize(
    "damaged",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"kind": "prediction"}',
        b'{"kind": "surprise"}',
        json.dumps(record(values(1, 1)[0], member="yes")).encode(),
        json.dumps(record(values(1, 1)[0], score=1.5)).encode(),
        json.dumps({**record(values(1, 1)[0]), "features": {"plan": "basic"}}).encode(),
    ],
    ids=[
        "cut off",
        "not text",
        "not an object",
        "no fields",
        "another kind",
        "another type",
        "score above 1",
        "other features",
    ],
)
def test_a_line_that_is_no_record_is_counted_and_costs_no_other(damaged):
    good = lines(record(values(6, 1)[0]))

    made = read(good + damaged + b"\n\n" + good, good.rstrip())

    assert (made.rows, made.unreadable) == (3, 1)


def test_no_objects_are_an_empty_profile():
    assert read().rows == 0
    assert read(b"", b"\n").unreadable == 0


class Counted(MemoryObjectStore):
    """A store that lists what was asked of it."""

    def __init__(self):
        super().__init__()
        self.read, self.listed = [], []

    def get(self, key):
        self.read.append(key)
        return super().get(key)

    def list(self, prefix, start_after=""):
        self.listed.append(prefix)
        return super().list(prefix, start_after)


def filled(*, minutes, hours=3):
    """One row every ``minutes`` from midnight on."""
    store = Counted()
    for number, row in enumerate(values(7, hours * 60 // minutes)):
        store.put(capture_key(MIDNIGHT + timedelta(minutes=number * minutes), f"u{number}"), lines(record(row)))
    return store


def look(store, window, settled=LATER):
    store.read.clear()
    store.listed.clear()
    return profile_window(store, CONTRACT, reference(), window, settled=settled)


def test_a_window_holds_its_start_and_not_its_end():
    store = filled(minutes=1)
    start = MIDNIGHT + timedelta(minutes=30)

    assert look(store, Window(start, start + timedelta(hours=1))).rows == 60
    assert look(store, Window(start, start + timedelta(seconds=1))).rows == 1
    assert look(store, Window(start - timedelta(seconds=59), start)).rows == 0


def test_an_hour_that_is_over_is_read_once():
    store, window = filled(minutes=10), Window(MIDNIGHT, MIDNIGHT + timedelta(hours=3))
    first = look(store, window)

    second = look(store, window)

    assert second.to_dict() == first.to_dict()
    assert second.rows == 18
    assert not any(key.startswith("capture/") for key in store.read + store.listed)


def test_a_sliding_window_reads_its_new_hour_only():
    store = filled(minutes=10)
    look(store, Window(MIDNIGHT, MIDNIGHT + timedelta(hours=2)))

    made = look(store, Window(MIDNIGHT + timedelta(hours=1), MIDNIGHT + timedelta(hours=3)))

    assert made.rows == 12
    assert {key[:29] for key in store.read if key.startswith("capture/")} == {"capture/dt=2026-11-24/hour=02"}


def test_an_hour_that_may_still_grow_and_one_seen_in_part_get_no_summary():
    store = filled(minutes=10)

    look(store, Window(MIDNIGHT, MIDNIGHT + timedelta(hours=2)), settled=MIDNIGHT + timedelta(minutes=119))
    look(store, Window(MIDNIGHT + timedelta(minutes=121), MIDNIGHT + timedelta(hours=3)))

    summaries = [info.key for info in store.list("monitoring/summaries/")]
    assert summaries == [summary_key("v1", MIDNIGHT)]


def test_a_damaged_summary_is_made_anew_from_the_captures():
    store, window = filled(minutes=10), Window(MIDNIGHT, MIDNIGHT + timedelta(hours=1))
    first = look(store, window)
    key = summary_key("v1", MIDNIGHT)

    for damaged in (b"{", b"{}", b"[]", b"\xff", json.dumps({"rows": 6, "numeric": {}}).encode()):
        store.put(key, damaged)
        assert look(store, window).to_dict() == first.to_dict()

    assert json.loads(store.get(key).data) == first.to_dict()


def test_another_champion_reads_an_hour_of_many_small_captures_by_one_request():
    store, window = filled(minutes=1), Window(MIDNIGHT, MIDNIGHT + timedelta(hours=3))
    first = look(store, window)
    assert sum(key.startswith("capture/") for key in store.read) == 180
    later = dataclasses.replace(reference(), version="v2")
    store.read.clear()

    made = profile_window(store, CONTRACT, later, window, settled=LATER)

    assert made.models == first.models == {"v1": 180}
    assert made.numeric["monthly price"].to_dict() == first.numeric["monthly price"].to_dict()
    assert sorted(store.read) == [hour_key(MIDNIGHT + timedelta(hours=hour)) for hour in range(3)]


def test_a_single_capture_of_an_hour_is_not_written_again():
    store = filled(minutes=60)
    look(store, Window(MIDNIGHT, MIDNIGHT + timedelta(hours=3)))
    assert not list(store.list("monitoring/hours/"))


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[]\n", b'{"format":"x"}\n', b'{"format":"stillgood.captured-hour"}\n']
)
def test_a_damaged_hour_is_read_from_its_captures(damaged):
    store, window = filled(minutes=1), Window(MIDNIGHT, MIDNIGHT + timedelta(hours=1))
    first = look(store, window)
    store.put(hour_key(MIDNIGHT), damaged)
    store.delete(summary_key("v1", MIDNIGHT))

    assert look(store, window).to_dict() == first.to_dict()


def test_captures_that_expire_while_they_are_read_are_not_missed():
    class Expiring(Counted):
        def get(self, key):
            if key.startswith("capture/") and "u7." in key:
                self.delete(key)
            return super().get(key)

    store = Expiring()
    for number, row in enumerate(values(7, 60)):
        store.put(capture_key(MIDNIGHT + timedelta(minutes=number), f"u{number}"), lines(record(row)))

    assert look(store, Window(MIDNIGHT, MIDNIGHT + timedelta(hours=1))).rows == 59

"""One event, one immutable version, whatever is delivered twice, crashes or is broken in the rows."""

import csv
import hashlib
import io
import json
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.drift.reference import Reference
from stillgood.domain.errors import (
    ContractInvalid,
    InvalidEvent,
    InvocationFailed,
    NotEnoughData,
    OneClassOnly,
    StoreUnavailable,
    TooFewRows,
)
from stillgood.domain.model.evaluation import Metrics, evaluate
from stillgood.domain.model.model import Model
from stillgood.domain.model.vectorised import logits, probabilities
from stillgood.domain.promotion.folds import FoldModels, fold_of
from stillgood.domain.promotion.holdout import Holdout
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.train.train import TrainDeps, train
from stillgood.storage.codec import encode, sha256
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.fakes import FakeInvoker
from stillgood.testing.faulty import Crashed, FaultyObjectStore
from stillgood.training.fit import fit
from stillgood.training.ingest import ingest
from stillgood.training.judged import row_ids, seen_in
from stillgood.training.split import is_holdout
from stillgood.training.tracking import Tracking

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENT = {"request_id": "monitor:w1", "reason": "price drifted", "window": "w1"}
CONTRACT = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "readings",
    "version": "1",
    "id": "customer",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [
        {"name": "x", "kind": "numeric"},
        {"name": "plan", "kind": "categorical", "levels": ["basic", "plus"]},
        {"name": "calls", "kind": "integer", "minimum": 0, "if_missing": 0},
    ],
    "floors": {"roc_auc": 0.6, "recall": 0.8},
    "training": {"min_rows": 100},
}


def rows(count=600, seed=1, first=1):
    """Customers who leave more often the higher x is."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    left = rng.random(count) < 1 / (1 + np.exp(1.0 - 2 * x))
    return [
        {
            "customer": f"c{first + at}",
            "x": f"{x[at]:.6f}",
            "plan": ["basic", "plus"][at % 2],
            "calls": str(at % 5),
            "left": "yes" if left[at] else "no",
        }
        for at in range(count)
    ]


def as_csv(table):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["customer", "x", "plan", "calls", "left"])
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()


@pytest.fixture
def store():
    """A bucket with a contract and 600 labelled rows."""
    bucket = MemoryObjectStore()
    bucket.put("contract.json", json.dumps(CONTRACT).encode())
    bucket.put("data/2026-11-01/a.csv", as_csv(rows()))
    return bucket


def working(store, invoker=None, tracking=Tracking(None)):  # noqa: B008  # frozen
    return TrainDeps(store, invoker or FakeInvoker(), lambda: NOW, tracking)


def read(store, version, name):
    return json.loads(store.get(f"models/{version}/{name}").data)


def keys(store, prefix=""):
    return [info.key for info in store.list(prefix)]


def test_labelled_rows_become_a_whole_version_and_promote_is_asked_to_judge_it(store):
    invoked = FakeInvoker()
    result = train(EVENT, working(store, invoked))

    version = result["version"]
    assert version.startswith("20261101-")
    assert (result["step"], result["result"], result["duplicate"]) == ("train", "trained", False)
    assert result["rows"]["accepted"] == 600
    assert keys(store, "models/") == [
        f"models/{version}/{name}"
        for name in (
            "card.md",
            "folds.json",
            "holdout.json",
            "learnt.json",
            "metrics.json",
            "model.json",
            "reference.json",
            "sources.json",
        )
    ]
    assert invoked.events == [("promote", {"action": "promote", "candidate": version, "request_id": "monitor:w1"})]


def test_promote_accepts_what_train_writes(store):
    invoked = FakeInvoker()
    result = train(EVENT, working(store, invoked))
    decision = promote(invoked.events[0][1], PromoteDeps(store, lambda: NOW))
    assert (decision["result"], decision["new_version"]) == ("promoted", result["version"])


def test_the_metrics_say_how_good_on_which_rows_and_from_what(store):
    version = train(EVENT, working(store))["version"]
    metrics = read(store, version, "metrics.json")
    contract = read_contract(CONTRACT)
    model = store.get(f"models/{version}/model.json").data
    assert metrics["model_sha256"] == sha256(model)
    assert metrics["contract"] == {"name": "readings", "version": "1", "sha256": contract.sha256}
    assert metrics["rows"] == {
        "objects": 1,
        "accepted": 600,
        "repaired": {},
        "refused": {},
        "refused_rows": 0,
        "refused_objects": 0,
        "train": metrics["out_of_fold"]["rows"],
        "holdout": metrics["holdout"]["rows"],
    }
    assert metrics["rows"]["train"] == metrics["rows"]["holdout"] == 600
    assert metrics["folds_sha256"] == sha256(store.get(f"models/{version}/folds.json").data)
    assert (metrics["seed"], len(metrics["data_sha256"]), metrics["trained_at"]) == (0, 64, "2026-11-23T12:00:00Z")
    assert set(metrics["libraries"]) == {"numpy", "scikit-learn", "scipy"}
    assert metrics["tracking"] == {"uri": None, "run_id": None, "error": None}
    assert len(metrics["fold_roc_auc"]) == 5
    out_of_fold = Metrics.from_dict(metrics["out_of_fold"])
    assert out_of_fold.roc_auc.low < out_of_fold.roc_auc.value < out_of_fold.roc_auc.high
    assert out_of_fold.recall.value >= 0.8


def test_the_holdout_metrics_are_of_models_that_had_not_seen_the_row(store):
    version = train(EVENT, working(store))["version"]
    model = Model.from_dict(read(store, version, "model.json"))
    holdout = Holdout.from_dict(model.contract, read(store, version, "holdout.json"))
    folds = FoldModels.from_dict(model.contract, read(store, version, "folds.json"))
    values = np.empty(holdout.frame.n)
    for fold, fold_model in enumerate(folds.models):
        rows = fold_of(holdout.entities) == fold
        values[rows] = logits(fold_model, holdout.frame.take(rows))
    expected = evaluate(values, probabilities(model, values), holdout.target, model.threshold_logit).to_dict()
    stated = read(store, version, "metrics.json")["holdout"]
    assert stated["roc_auc"]["value"] == pytest.approx(expected["roc_auc"]["value"], abs=1e-9)
    assert stated["brier"]["value"] == pytest.approx(expected["brier"]["value"], abs=1e-9)
    assert (stated["rows"], stated["flagged"]) == (expected["rows"], expected["flagged"])


def test_every_row_is_learnt_from_and_kept_in_mind(store):
    version = train(EVENT, working(store))["version"]
    ingested = ingest(read_contract(CONTRACT), [("data/2026-11-01/a.csv", as_csv(rows()))])
    known = read(store, version, "learnt.json")
    assert known["rows"] == read(store, version, "reference.json")["rows"] == 600
    assert seen_in(known, row_ids(ingested.times, ingested.hashes)).all()


def test_rows_that_the_champion_has_learnt_do_not_judge_its_successor(store):
    first = train(EVENT, working(store))["version"]
    promote({"action": "promote", "candidate": first, "request_id": "r1"}, PromoteDeps(store, lambda: NOW))
    store.put("data/2026-11-20/b.csv", as_csv(rows(seed=2, first=1000)))

    second = train({"request_id": "monitor:w2"}, working(store))["version"]

    news = {f"{float(row['x']):.6f}" for row in rows(seed=2, first=1000)}
    judging = read(store, second, "holdout.json")["frame"]["columns"]["x"]
    assert len(judging) == 600
    assert {f"{x:.6f}" for x in judging} <= news
    folds = read(store, second, "folds.json")
    assert (folds["against"], folds["unseen"]) == (first, True)


def test_rows_that_the_champion_of_before_held_out_judge_its_successor(store):
    """It kept no list of what it learnt, but a fifth of the customers it never saw."""
    first = train(EVENT, working(store))["version"]
    promote({"action": "promote", "candidate": first, "request_id": "r1"}, PromoteDeps(store, lambda: NOW))
    store.delete(f"models/{first}/learnt.json")
    store.put("data/2026-10-20/b.csv", as_csv(rows(seed=2, first=1000)))

    second = train({"request_id": "monitor:w2"}, working(store))["version"]

    names = [row["customer"] for row in (*rows(), *rows(seed=2, first=1000))]
    hashes = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) for name in names]
    held = is_holdout(np.array(hashes, dtype=np.uint64), 0.2).sum()
    assert len(read(store, second, "holdout.json")["target"]) == held


def test_the_reference_holds_scores_of_rows_that_the_scoring_model_had_not_seen(store):
    version = train(EVENT, working(store))["version"]
    reference = Reference.from_dict(read(store, version, "reference.json"))
    ingested = ingest(read_contract(CONTRACT), [("data/2026-11-01/a.csv", as_csv(rows()))])
    fitted = fit(ingested.frame, ingested.target, ingested.hashes, version=version, data_sha256=ingested.sha256)
    assert reference.rows == 600
    assert reference.score.values.tolist() == np.unique(fitted.oof_scores).tolist()


def test_the_card_names_version_figures_and_rows(store):
    version = train(EVENT, working(store))["version"]
    card = store.get(f"models/{version}/card.md").data.decode()
    assert f"\n---\n\n# readings {version}\n" in card
    assert "600 accepted, 0 refused" in card


# ---- twice, at once, and half
# ------------------------------------------------------------------------------------------


def test_a_duplicate_trains_nothing_and_asks_promote_again(store):
    invoked = FakeInvoker()
    first = train(EVENT, working(store, invoked))
    store.put("data/2026-11-02/b.csv", as_csv(rows(seed=2, first=1000)))  # it is not looked at
    before = keys(store)
    again = train(EVENT, working(store, invoked))
    assert again == {**first, "duplicate": True}
    assert keys(store) == before
    assert invoked.events == [invoked.events[0]] * 2


def test_the_same_rows_for_another_reason_are_nothing_new_to_learn_from_which_is_no_error(store):
    invoked = FakeInvoker()
    first = train(EVENT, working(store, invoked))
    before = {key: store.get(key).etag for key in keys(store, "models/")}
    second = train({"request_id": "monitor:w2", "reason": "drift"}, working(store, invoked))
    assert (second["result"], second["version"], second["duplicate"]) == ("skipped", first["version"], False)
    assert second["why"].startswith("nothing new to learn from")
    assert {key: store.get(key).etag for key in keys(store, "models/")} == before
    assert invoked.events[1] == (
        "promote",
        {"action": "promote", "candidate": first["version"], "request_id": "monitor:w2"},
    )


def test_new_rows_are_a_new_version_by_the_same_path(store):
    first = train(EVENT, working(store))
    store.put("data/2026-11-20/b.csv", as_csv(rows(seed=2, first=1000)))
    second = train({"request_id": "monitor:w2"}, working(store))
    assert (second["result"], second["rows"]["accepted"]) == ("trained", 1200)
    assert second["version"].startswith("20261120-")
    assert second["version"] != first["version"]


def test_rows_moved_to_another_object_of_the_day_are_the_same_version_to_the_byte(store):
    version = train(EVENT, working(store))["version"]
    other = MemoryObjectStore()
    other.put("contract.json", json.dumps(CONTRACT).encode())
    shuffled = rows()[::-1]
    other.put("data/2026-11-01/y.csv", as_csv(shuffled[:200]))
    other.put("data/2026-11-01/z.csv", as_csv(shuffled[200:]))
    assert train(EVENT, working(other))["version"] == version
    for name in ("model.json", "reference.json", "holdout.json", "folds.json", "learnt.json"):
        assert other.get(f"models/{version}/{name}") == store.get(f"models/{version}/{name}")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 10))
def test_after_a_crash_at_any_write_a_retry_ends_as_if_nothing_had_happened(store, at, when):
    store.put("data/2026-11-02/bad.csv", b"nothing,here\n1,2\n")
    expected = MemoryObjectStore()
    for key in keys(store):
        expected.put(key, store.get(key).data)
    train(EVENT, working(expected))

    faulty = FaultyObjectStore(store, at=at, when=when)
    with pytest.raises(Crashed):
        train(EVENT, working(faulty))
    assert len(faulty.writes) == at
    invoked = FakeInvoker()
    result = train(EVENT, working(store, invoked))

    assert keys(store) == keys(expected)
    for key in keys(store, "models/"):
        assert store.get(key).data == expected.get(key).data
    assert invoked.events[0][1]["candidate"] == result["version"]


def test_there_are_ten_writes_and_the_model_is_the_last_of_its_version(store):
    store.put("data/2026-11-02/bad.csv", b"nothing,here\n1,2\n")
    watched = FaultyObjectStore(store)
    train(EVENT, working(watched))
    assert [write.split("/")[0].split(" ")[1] for write in watched.writes] == [
        "quarantine",
        *["models"] * 8,
        "training",
    ]
    assert watched.writes[8].endswith("/model.json")


def test_a_model_that_is_not_whole_is_never_handed_to_promote(store):
    invoked = FakeInvoker()
    with pytest.raises(Crashed):
        train(EVENT, working(FaultyObjectStore(store, at=5), invoked))
    assert invoked.events == []
    assert not [key for key in keys(store) if key.endswith("model.json")]


def test_deliveries_at_the_same_time_agree(store):
    results, invoked = [], FakeInvoker()
    threads = [threading.Thread(target=lambda: results.append(train(EVENT, working(store, invoked)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({result["version"] for result in results}) == 1
    assert len(keys(store, "training/")) == 1
    assert [step for step, _ in invoked.events] == ["promote"] * 4


def test_an_outage_is_raised_for_the_retry(store):
    with pytest.raises(StoreUnavailable):
        train(EVENT, working(FaultyObjectStore(store, at=3, how="error")))
    assert train(EVENT, working(store))["result"] == "trained"


def test_when_promote_cannot_be_invoked_the_retry_only_invokes_it(store):
    class Broken:
        def invoke(self, step, event):
            raise InvocationFailed("promote does not answer")

    with pytest.raises(InvocationFailed):
        train(EVENT, working(store, Broken()))
    invoked = FakeInvoker()
    assert train(EVENT, working(store, invoked))["duplicate"] is True
    assert len(invoked.events) == 1


# ---- dirt
# ----------------------------------------------------------------------------------------------------------------


def test_refused_rows_are_kept_as_they_stood_and_the_answer_says_where(store):
    broken = [dict(rows(1, first=9001)[0], x="much"), dict(rows(1, first=9002)[0], left="")]
    store.put("data/2026-11-02/b.csv", as_csv(broken))
    store.put("data/2026-11-02/c.csv", b"")

    result = train(EVENT, working(store))

    assert result["rows"]["refused"] == {"(object): empty": 1, "left: required": 1, "x: type": 1}
    kept = [json.loads(line) for line in store.get(result["quarantine"]).data.splitlines()]
    assert [(refused["source"], refused["row"], refused["violations"][0]["rule"]) for refused in kept] == [
        ("data/2026-11-02/b.csv", 1, "type"),
        ("data/2026-11-02/b.csv", 2, "required"),
        ("data/2026-11-02/c.csv", None, "empty"),
    ]
    assert kept[0]["raw"] == broken[0]
    assert read(store, result["version"], "metrics.json")["quarantine"] == result["quarantine"]


def test_refused_rows_that_are_mended_and_uploaded_again_are_learnt_from(store):
    broken = [dict(row, calls="many") for row in rows(50, seed=3, first=5000)]
    store.put("data/2026-11-02/b.csv", as_csv(broken))
    first = train(EVENT, working(store))
    raw = [json.loads(line)["raw"] for line in store.get(first["quarantine"]).data.splitlines()]
    store.put("data/2026-11-03/mended.csv", as_csv([dict(row, calls="3") for row in raw]))
    second = train({"request_id": "again"}, working(store))
    assert (first["rows"]["accepted"], second["rows"]["accepted"]) == (600, 650)


def test_too_few_rows_keep_what_was_refused_and_say_where():
    store = MemoryObjectStore()
    store.put("contract.json", json.dumps(CONTRACT).encode())
    store.put("data/2026-11-01/a.csv", as_csv([dict(row, x="?") for row in rows(150)] + rows(50, first=2000)))
    with pytest.raises(
        TooFewRows, match=r"50 usable labelled rows in 1 objects.* asks for 100.*150 by x: type"
    ) as raised:
        train(EVENT, working(store))
    (kept,) = keys(store, "quarantine/")
    assert kept in raised.value.detail
    assert len(store.get(kept).data.splitlines()) == 150
    assert keys(store, "models/") == keys(store, "training/") == []


def test_no_data_at_all_says_what_to_upload_where():
    store = MemoryObjectStore()
    store.put("contract.json", json.dumps(CONTRACT).encode())
    with pytest.raises(
        TooFewRows, match=r"0 usable labelled rows in 0 objects under data/; .* Upload CSV objects to data/<date>/"
    ):
        train(EVENT, working(store))


def test_one_outcome_only_is_an_error_that_says_so(store):
    store.put("data/2026-11-01/a.csv", as_csv([dict(row, left="no") for row in rows()]))
    with pytest.raises(OneClassOnly, match="All 600 labelled rows have left = no"):
        train(EVENT, working(store))


def test_features_that_say_nothing_publish_nothing(store):
    store.put("data/2026-11-01/a.csv", as_csv([dict(row, x="1", plan="basic", calls="1") for row in rows()]))
    with pytest.raises(NotEnoughData, match="say nothing"):
        train(EVENT, working(store))
    assert keys(store, "models/") == []


def test_a_row_of_the_future_neither_names_the_version_nor_ages_all_others(store):
    windowed = CONTRACT | {"training": {"min_rows": 100, "window_days": 30}}
    store.put("contract.json", json.dumps(windowed).encode())
    store.put("data/2206-11-01/typo.csv", as_csv(rows(1, first=9000)))
    result = train(EVENT, working(store))
    assert result["version"].startswith("20261101-")
    assert result["rows"]["refused"] == {"(date): future": 1}


def test_without_a_contract_it_says_how_to_get_one():
    with pytest.raises(InvalidEvent, match=r"no contract.json in the store. Draft one with"):
        train(EVENT, working(MemoryObjectStore()))


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff"])
def test_a_contract_that_is_no_json_object_is_an_error_that_names_it(store, data):
    store.put("contract.json", data)
    with pytest.raises(InvalidEvent, match=r"contract\.json"):
        train(EVENT, working(store))


def test_a_contract_that_breaks_a_rule_is_an_error_that_names_the_place(store):
    store.put("contract.json", json.dumps(CONTRACT | {"floors": {"recall": 2}}).encode())
    with pytest.raises(ContractInvalid, match=r"floors.recall must be within 0 and 1"):
        train(EVENT, working(store))


@pytest.mark.parametrize(
    "event", [{}, {"request_id": ""}, {"request_id": " "}, {"request_id": 5}, {"request_id": "x" * 513}, []]
)
def test_an_event_without_a_request_id_is_refused(store, event):
    with pytest.raises(InvalidEvent, match="request_id"):
        train(event, working(store))


def test_a_request_id_may_hold_any_text(store):
    hostile = "../../models/\ud800 \n☃"
    assert train({"request_id": hostile}, working(store))["result"] == "trained"
    assert train({"request_id": hostile}, working(store))["duplicate"] is True


# ---- tracking
# --------------------------------------------------------------------------------------------------------------


def test_a_tracking_failure_never_fails_a_training_and_is_written_down(store):
    result = train(EVENT, working(store, tracking=Tracking("nonsense://tracking")))
    assert result["result"] == "trained"
    assert result["tracking"]["run_id"] is None
    assert read(store, result["version"], "metrics.json")["tracking"]["error"] == result["tracking"]["error"]
    assert "nonsense://tracking" in result["tracking"]["error"]


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
def test_a_run_holds_the_figures_and_files_of_the_version(store, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    result = train(EVENT, working(store, tracking=Tracking(uri)))
    metrics = read(store, result["version"], "metrics.json")
    assert metrics["tracking"] == {"uri": uri, "run_id": result["tracking"]["run_id"], "error": None}
    client = MlflowClient(tracking_uri=uri)
    run = client.get_run(metrics["tracking"]["run_id"])
    assert run.data.metrics["roc_auc"] == metrics["out_of_fold"]["roc_auc"]["value"]
    assert run.data.metrics["holdout_recall"] == metrics["holdout"]["recall"]["value"]
    assert run.data.params["data_sha256"] == metrics["data_sha256"]
    assert sorted(artifact.path for artifact in client.list_artifacts(run.info.run_id)) == [
        "card.md", "folds.json", "holdout.json", "learnt.json", "metrics.json", "model.json", "reference.json",
    ]  # fmt: skip
    assert list((tmp_path / "cwd").iterdir()) == []


def test_what_is_written_of_a_request_can_be_read_by_a_person(store):
    train(EVENT, working(store))
    (key,) = keys(store, "training/")
    done = json.loads(store.get(key).data)
    assert (done["request_id"], done["reason"], done["window"]) == ("monitor:w1", "price drifted", "w1")
    assert encode(done) == store.get(key).data

"""One event, one recorded decision: promoted, refused or rolled back, whatever is delivered twice, raced or broken."""

import itertools
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import InvalidEvent, ObjectNotFound, StoreUnavailable, UnknownVersion
from stillgood.domain.model.evaluation import roc_auc, threshold_for_recall
from stillgood.domain.model.model import Calibration, Model, NumericTerm
from stillgood.domain.model.vectorised import logits
from stillgood.domain.promotion.holdout import Holdout
from stillgood.pages.writer import curves
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.rollback import roll_back
from stillgood.storage.artifacts import publish
from stillgood.storage.audit import check_inputs, verify
from stillgood.storage.codec import decode_any, encode, sha256
from stillgood.storage.keys import HOLDOUT, METRICS, MODEL, POINTER_KEY, REFERENCE, artifact_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.testing.faulty import Crashed, FaultyObjectStore

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONTRACT = {
    "format": "stillgood.contract",
    "format_version": 1,
    "name": "two readings",
    "version": "1",
    "target": {"name": "left", "positive": "yes", "negative": "no"},
    "features": [
        {"name": "first", "kind": "numeric"},
        {"name": "second", "kind": "numeric"},
        {"name": "senior", "kind": "boolean"},
    ],
    "floors": {"roc_auc": 0.7, "recall": 0.8, "precision": 0.3},
    "costs": {"miss": 500, "offer": 50},
    "slices": ["senior"],
}
STRONG, WEAK, POOR = (1.5, 1.5), (1.5, 0.3), (0.05, -0.1)  # weights of the two readings; the truth is STRONG


def holdout(contract=None, rows=1400, seed=11):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, rows))
    y = rng.random(rows) < 1 / (1 + np.exp(1.0 - 1.5 * first - 1.5 * second))
    columns = {"first": first, "second": second, "senior": (rng.random(rows) < 0.2).astype(float)}
    return Holdout(Frame(contract or read_contract(CONTRACT), rows, columns), y.astype(np.int8))


def artifacts(version, weights, rows=None, contract=None):
    """The files that train publishes, of a model with these weights."""
    rows = rows or holdout(contract)
    contract = rows.frame.contract
    terms = [NumericTerm(f.name, 0.0, 1.0, w) for f, w in zip(contract.features, (*weights, 0.0), strict=True)]
    model = Model(version, contract, tuple(terms), -1.0, 0.0, Calibration(1.0, 0.0))
    threshold = threshold_for_recall(logits(model, rows.frame), rows.target, 0.8)
    data = encode({**model.to_dict(), "threshold_logit": threshold})
    return {
        MODEL: data,
        METRICS: encode({"model_sha256": sha256(data)}),
        REFERENCE: encode({}),
        HOLDOUT: encode(rows.to_dict()),
    }


def deps_of(*versions, gate="guarded"):
    """A store in which each (version, weights) was trained, and the dependencies of promote."""
    store = MemoryObjectStore()
    for version, weights in versions:
        publish(store, version, artifacts(version, weights))
    return PromoteDeps(store, lambda: NOW, gate)


def judge(deps, version, request_id=None):
    return promote({"action": "promote", "candidate": version, "request_id": request_id or f"r-{version}"}, deps)


def back(deps, to=None, request_id="r-back"):
    return roll_back({"action": "rollback", "request_id": request_id, "to": to, "reason": "Complaints."}, deps)


def serving(deps):
    pointer = Registry(deps.store).pointer()
    return pointer.version if pointer else None


def tamper(deps, version, name, old=b'"baseline":-1.0', new=b'"baseline":-0.9'):
    key = artifact_key(version, name)
    data = deps.store.get(key).data
    assert old in data
    deps.store.put(key, data.replace(old, new))


# ---- promote


def test_the_first_model_is_promoted_by_the_floors_and_recorded():
    deps = deps_of(("v1", WEAK))

    result = judge(deps, "v1")

    assert (result["result"], result["gate"], result["decision"]) == ("promoted", "first-model", 1)
    assert (result["old_version"], result["new_version"]) == (None, "v1")
    pointer = Registry(deps.store).pointer()
    assert pointer is not None
    assert (pointer.version, pointer.generation, pointer.promoted_at) == ("v1", 1, "2026-11-23T12:00:00Z")
    assert pointer.model_sha256 == sha256(deps.store.get("models/v1/model.json").data)
    assert pointer.metrics["recall"]["value"] >= 0.8


def test_a_first_model_far_under_the_floors_is_refused_and_nothing_serves():
    deps = deps_of(("v1", POOR))
    result = judge(deps, "v1")
    assert (result["result"], result["old_version"], result["new_version"]) == ("refused", None, None)
    assert "demonstrably under the floor 0.700" in result["reasons"][0]
    assert serving(deps) is None


def test_a_better_candidate_takes_over_and_the_champion_is_remembered():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")

    result = judge(deps, "v2")

    assert (result["result"], result["old_version"], result["new_version"]) == ("promoted", "v1", "v2")
    pointer = Registry(deps.store).pointer()
    assert pointer is not None
    assert pointer.previous is not None
    assert (pointer.generation, pointer.previous.version) == (2, "v1")


def test_a_worse_candidate_is_refused_with_reasons_and_the_champion_stays():
    deps = deps_of(("v1", STRONG), ("v2", WEAK))
    judge(deps, "v1")
    before = deps.store.get(POINTER_KEY).data

    result = judge(deps, "v2")

    assert (result["result"], result["old_version"], result["new_version"]) == ("refused", "v1", "v1")
    assert result["reasons"][0].startswith("ROC-AUC 0.")
    assert result["would_change"][0].startswith("A ROC-AUC gain")
    assert deps.store.get(POINTER_KEY).data == before


def test_the_decision_holds_what_it_was_made_from():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    judge(deps, "v2")

    decision = Registry(deps.store).decision(2)

    assert set(decision.inputs) == {"candidate", "metrics", "holdout", "champion"}
    assert check_inputs(deps.store, decision) == ()
    assert decision.figures["paired"]["roc_auc"]["p"] < 0.025
    assert decision.figures["value"]["candidate"] > decision.figures["value"]["champion"]
    assert any("2 of 2 slices" in check["says"] for check in decision.figures["checks"])
    assert verify(deps.store) == ()


def test_slices_of_a_decision_are_counted_on_the_rows_that_it_was_made_from():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    judge(deps, "v2")
    rows = curves(deps.store, Registry(deps.store).decision(2))["slices"]
    assert [row["slice"] for row in rows] == ["senior = yes", "senior = no"]
    kept = holdout()
    for row, value in zip(rows, (1.0, 0.0), strict=True):
        inside = kept.frame.columns["senior"] == value
        positive = kept.target == 1
        assert (row["rows"], row["positives"]) == (inside.sum(), (inside & positive).sum())
        for role, version in (("candidate", "v2"), ("champion", "v1")):
            raw = decode_any(deps.store.get(f"models/{version}/model.json").data)
            model = Model.from_dict(raw)
            flagged = logits(model, kept.frame) >= model.threshold_logit
            assert row[role]["flagged"] == (inside & flagged).sum()
            assert row[role]["recall"]["value"] == (inside & flagged & positive).sum() / (inside & positive).sum()
            assert row[role]["precision"]["value"] == (inside & flagged & positive).sum() / (inside & flagged).sum()


def test_the_gate_is_the_one_that_was_configured():
    deps = deps_of(("v1", WEAK), ("v2", STRONG), gate="simple")
    judge(deps, "v1")
    assert judge(deps, "v2")["gate"] == "simple"


def test_the_champion_cannot_be_promoted_again():
    deps = deps_of(("v1", WEAK))
    judge(deps, "v1")
    result = judge(deps, "v1", "again")
    assert (result["result"], result["reasons"]) == ("refused", ["v1 is the champion already."])


def test_both_models_are_scored_on_the_candidates_holdout():
    """On its own holdout the champion would be perfect."""
    deps = deps_of(("v2", STRONG))
    old = holdout(seed=12).frame
    flattering = Holdout(old, (linear(WEAK, old) > 0).astype(np.int8))
    publish(deps.store, "v1", artifacts("v1", WEAK, flattering))
    judge(deps, "v1")

    judge(deps, "v2")

    first, second = (Registry(deps.store).decision(n).figures for n in (1, 2))
    newest = holdout()
    assert first["candidate"]["roc_auc"]["value"] == 1.0
    assert second["champion"]["roc_auc"]["value"] == roc_auc(linear(WEAK, newest.frame), newest.target)
    assert second["candidate"]["roc_auc"]["value"] == roc_auc(linear(STRONG, newest.frame), newest.target)


def linear(weights, frame):
    return -1.0 + weights[0] * frame.columns["first"] + weights[1] * frame.columns["second"]


def test_attempts_on_one_holdout_are_counted_from_the_log():
    deps = deps_of(("v1", STRONG), ("v2", WEAK), ("v3", (1.5, 0.4)), ("v4", (1.5, 0.5)))
    for version in ("v1", "v2", "v3"):
        judge(deps, version)
    publish(deps.store, "v5", artifacts("v5", WEAK, holdout(seed=99)))
    judge(deps, "v5")
    judge(deps, "v4")
    attempts = [decision.figures.get("attempt") for decision in Registry(deps.store).decisions()]
    assert attempts == [None, 1, 2, 1, 3]


def test_a_duplicate_event_gets_the_first_answer():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    first = judge(deps, "v1")
    judge(deps, "v2")

    again = judge(deps, "v1")

    assert again == {**first, "duplicate": True, "says": again["says"]}
    assert serving(deps) == "v2"


def test_a_request_id_cannot_ask_for_something_else():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1", "one")
    with pytest.raises(InvalidEvent, match="use another request id"):
        judge(deps, "v2", "one")
    with pytest.raises(InvalidEvent, match="use another request id"):
        back(deps, request_id="one")


def test_who_loses_the_race_decides_again_on_the_new_champion():
    class Overtaken(MemoryObjectStore):
        """Promotes v2 while v3 is being judged."""

        judged = 0

        def get(self, key):
            if key == "models/v3/holdout.json":
                self.judged += 1
                if self.judged == 1:
                    judge(PromoteDeps(self, lambda: NOW), "v2")
            return super().get(key)

    deps = PromoteDeps(Overtaken(), lambda: NOW)
    for version, weights in (("v1", WEAK), ("v2", STRONG), ("v3", (1.5, 1.0))):
        publish(deps.store, version, artifacts(version, weights))
    judge(deps, "v1")

    result = judge(deps, "v3")

    assert deps.store.judged == 2
    assert (result["result"], result["old_version"], result["decision"]) == ("refused", "v2", 3)
    assert serving(deps) == "v2"
    assert verify(deps.store) == ()


def test_an_unknown_candidate_is_an_error_that_says_what_exists():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    with pytest.raises(UnknownVersion, match="2 exist, the newest: v2, v1"):
        judge(deps, "v9")
    with pytest.raises(UnknownVersion, match="run train first"):
        judge(deps_of(), "v9")


def test_a_candidate_that_was_changed_after_training_is_refused():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    tamper(deps, "v2", MODEL)

    result = judge(deps, "v2")

    assert result["result"] == "refused"
    assert "is not what was trained" in result["reasons"][0]
    assert serving(deps) == "v1"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        (MODEL, b"{", "not valid JSON"),
        (METRICS, None, "metrics.json is missing"),
        (METRICS, b"{}\n", "is not what was trained"),
        (HOLDOUT, None, "holdout.json is missing"),
        (HOLDOUT, b'{"format":"stillgood.holdout","format_version":2}', "format_version 2"),
        (HOLDOUT, b'{"format":"stillgood.holdout","format_version":1}', "is malformed"),
        (HOLDOUT, b'{"format":"stillgood.holdout","format_version":1,"frame":{},"target":[1,0]}', "malformed"),
        (HOLDOUT, b'{"format":"stillgood.holdout","format_version":1,"frame":{},"target":[1,0.5]}', "0 or 1"),
    ],
)
def test_a_candidate_with_an_unusable_file_is_refused_with_the_reason(name, data, says):
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    key = artifact_key("v2", name)
    deps.store.delete(key) if data is None else deps.store.put(key, data)

    result = judge(deps, "v2")

    assert result["result"] == "refused"
    assert "The candidate cannot be judged" in result["reasons"][0]
    assert says in result["reasons"][0]
    assert serving(deps) == "v1"


def test_a_champion_that_cannot_be_verified_is_not_replaced_unseen():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    tamper(deps, "v1", MODEL)
    result = judge(deps, "v2")
    assert result["result"] == "refused"
    assert "is not what was promoted" in result["reasons"][0]


def test_too_small_a_holdout_is_not_enough_evidence():
    deps = deps_of(("v1", WEAK))
    judge(deps, "v1")
    publish(deps.store, "v2", artifacts("v2", STRONG, holdout(rows=60)))
    assert judge(deps, "v2")["reasons"][0].startswith("Not enough evidence: ")


def test_a_champion_of_an_older_contract_is_compared_where_its_features_still_exist():
    deps = deps_of(("v1", WEAK))
    judge(deps, "v1")
    newer = read_contract({**CONTRACT, "version": "2", "floors": {"roc_auc": 0.6}})
    publish(deps.store, "v2", artifacts("v2", STRONG, contract=newer))
    assert judge(deps, "v2")["result"] == "promoted"


def test_a_champion_that_needs_a_feature_the_holdout_lacks_is_not_compared():
    deps = deps_of(("v1", WEAK))
    judge(deps, "v1")
    features = [{"name": "first", "kind": "numeric"}, {"name": "renamed", "kind": "numeric"}, CONTRACT["features"][2]]
    newer = read_contract({**CONTRACT, "features": features})
    rows = holdout()
    columns = {"renamed" if name == "second" else name: column for name, column in rows.frame.columns.items()}
    publish(deps.store, "v2", artifacts("v2", STRONG, Holdout(Frame(newer, rows.frame.n, columns), rows.target)))

    result = judge(deps, "v2")

    assert result["result"] == "refused"
    assert "v1 reads 'second' as numeric" in result["reasons"][0]


def test_an_outage_decides_nothing_and_the_retry_decides():
    class Flaky(MemoryObjectStore):
        down = True

        def get(self, key):
            if self.down and key.endswith(HOLDOUT):
                raise StoreUnavailable("S3 does not answer.")
            return super().get(key)

    store = Flaky()
    publish(store, "v1", artifacts("v1", WEAK))
    deps = PromoteDeps(store, lambda: NOW)
    with pytest.raises(StoreUnavailable):
        judge(deps, "v1")
    with pytest.raises(ObjectNotFound):
        Registry(store).decision(1)

    store.down = False
    assert judge(deps, "v1")["result"] == "promoted"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("act", [lambda deps: judge(deps, "v2"), back])
def test_a_crash_at_any_write_leaves_a_whole_champion_and_the_retry_finishes_once(act, when):
    for at in itertools.count(1):
        calm = deps_of(("v0", (1.5, -0.2)), ("v1", WEAK), ("v2", STRONG))
        judge(calm, "v0")
        judge(calm, "v1")
        faulty = FaultyObjectStore(calm.store, at=at, when=when)
        try:
            act(PromoteDeps(faulty, lambda: NOW))
        except Crashed:
            assert serving(calm) in {"v0", "v1", "v2"}
        else:
            assert at > 3  # record, pointer and index were each tried
            break
        result = act(calm)
        assert result["result"] in {"promoted", "rolled back"}
        assert serving(calm) == result["new_version"]
        assert Registry(calm.store).recover().n == 3
        assert verify(calm.store) == ()


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"candidate": "v1"},
        {"request_id": "r"},
        {"candidate": 1, "request_id": "r"},
        {"candidate": "v1", "request_id": " "},
        [],
    ],
)
def test_an_event_without_candidate_or_request_id_is_refused_by_name(event):
    with pytest.raises(InvalidEvent, match=r"'candidate'|'request_id'"):
        promote(event, deps_of(("v1", WEAK)))


def test_a_candidate_that_is_no_version_name_is_unknown():
    with pytest.raises(UnknownVersion, match="not a model version"):
        judge(deps_of(), "../registry")


# ---- rollback


def test_rollback_brings_the_previous_champion_back_byte_for_byte():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    first = Registry(deps.store).pointer()
    judge(deps, "v2")

    result = back(deps)

    assert (result["result"], result["old_version"], result["new_version"]) == ("rolled back", "v2", "v1")
    assert result["reasons"][1] == "Asked because: Complaints."
    pointer = Registry(deps.store).pointer()
    assert pointer is not None
    assert first is not None
    assert pointer.release == first.release
    assert pointer.generation == 3
    assert verify(deps.store) == ()


def test_rollback_to_a_version_that_served_long_ago():
    deps = deps_of(("v1", (1.5, -0.2)), ("v2", (1.5, 0.4)), ("v3", STRONG))
    for version in ("v1", "v2", "v3"):
        assert judge(deps, version)["result"] == "promoted"
    assert back(deps, to="v1")["new_version"] == "v1"
    assert serving(deps) == "v1"


def test_a_duplicate_rollback_rolls_back_once():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    judge(deps, "v2")
    first = back(deps)
    again = back(deps)
    assert again == {**first, "duplicate": True, "says": again["says"]}
    assert serving(deps) == "v1"


@pytest.mark.parametrize(
    ("promoted", "to", "says"),
    [
        ([], None, "nothing was promoted yet"),
        (["v1"], None, "v1 is the first champion"),
        (["v1", "v2"], "v2", "v2 is the champion already"),
        (["v1", "v2"], "v3", "v3 never served, so no gate has approved it; served so far: v2, v1"),
        (["v1", "v2"], "v9", "v9 never served"),
    ],
)
def test_a_rollback_that_makes_no_sense_is_refused_clearly_and_recorded(promoted, to, says):
    deps = deps_of(("v1", WEAK), ("v2", STRONG), ("v3", STRONG))
    for version in promoted:
        judge(deps, version)
    before = serving(deps)

    result = back(deps, to)

    assert result["result"] == "refused"
    assert says in result["reasons"][0]
    assert serving(deps) == before
    assert Registry(deps.store).decision(result["decision"]).action == "refuse"


def test_a_rollback_to_a_changed_artifact_is_refused():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    judge(deps, "v1")
    judge(deps, "v2")
    tamper(deps, "v1", MODEL)

    result = back(deps)

    assert result["result"] == "refused"
    assert "v1 cannot serve" in result["reasons"][0]
    assert serving(deps) == "v2"


def test_a_rollback_needs_a_reason():
    with pytest.raises(InvalidEvent, match="'reason'"):
        roll_back({"action": "rollback", "request_id": "r", "to": None}, deps_of())


def test_every_answer_is_json():
    deps = deps_of(("v1", WEAK), ("v2", STRONG))
    for result in (judge(deps, "v1"), judge(deps, "v2"), back(deps)):
        json.dumps(result, allow_nan=False)
